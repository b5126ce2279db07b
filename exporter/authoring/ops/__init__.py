"""TensorFlow's names for operators of the op table: `math`, `array`, `nn`, `random`, one file each."""
