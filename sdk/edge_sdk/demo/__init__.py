"""The main job once, from a trained model to a drift alert, with every part real."""
