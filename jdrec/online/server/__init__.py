"""OpenMLDB's APIServer protocol over the embedded online store: `app.create_app`."""
