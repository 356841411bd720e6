"""Ad clicks: what users read, which ads they are shown, and whether they click."""
