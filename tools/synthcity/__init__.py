"""A procedural city: multi-camera traffic video with exact ground truth, any amount of it, from a seed.

::

    Recipe ─► Place ─► Traffic ─► Camera views ─► Frame + ids ─► Truth ─► CityFlow folder
    recipe    places   traffic    lens            painter        truth    layout
              network  demand     plan            backdrop
              scenery  identity                   light
              ground   shapes body skin

Run it as ``python -m tools.synthcity render recipe.yaml out/``. Everything up to the truth is plain float64
arithmetic from one integer seed; only the pixels (and what is counted in them: visibility) come from OpenGL.

Axes: metres, x east, y north, z up, the place around the origin. Vehicles look along +x of their own frame, y to
their left, origin on the road under their middle. Traffic keeps to the right.
"""
