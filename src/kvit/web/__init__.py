"""The pages: a view is a form, one domain call and a render."""
