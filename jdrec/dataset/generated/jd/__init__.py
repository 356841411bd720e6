"""Tables of the JD schema: what users do with products, and whether a request ends in a purchase."""
