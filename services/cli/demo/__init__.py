"""The demonstration: ordinary reports of our own writing, and one police report on its way past them."""
