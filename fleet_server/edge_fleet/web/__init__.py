"""The dashboard: pages rendered on the server, brought up to date live; works without JavaScript, only less lively."""
