"""The plugin interface: what plugins offer, finding and choosing them, telling observers."""
