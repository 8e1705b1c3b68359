"""What the tests need from the machine, made when it is not there and taken away afterwards."""
