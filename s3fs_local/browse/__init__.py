"""The store's past as pages in a browser, on this machine only."""
