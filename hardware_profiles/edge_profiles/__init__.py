"""What each kind of device can run, as TOML files with a loader that checks them. Decides nothing."""
