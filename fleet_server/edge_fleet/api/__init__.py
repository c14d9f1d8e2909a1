"""The two doors: the operators' REST and the devices' REST. They parse, call one service and render."""
