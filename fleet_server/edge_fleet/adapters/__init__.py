"""What acts: database, files, keys, broker. Each translates foreign errors into those of `errors.py`."""
