"""Four small services and their load, one image: `python -m demo.shop frontend|checkout|payments|catalogue|load`."""
