"""The controller: compresses models, measures them on devices, keeps and compares the results."""
