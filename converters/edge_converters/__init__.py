"""A trained model in, one measured variant per hardware profile out. Knows no server and no device."""
