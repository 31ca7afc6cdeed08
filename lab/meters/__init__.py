"""External power meters beside the device. This version finds them on USB; it does not read them."""
