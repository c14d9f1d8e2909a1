"""What a microcontroller's firmware needs of a model: memory planned, C sources written, both measured for its core."""
