"""Playground: heads and losses side by side in the browser, in one page that needs no server."""
