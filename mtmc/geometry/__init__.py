"""Pure geometry shared by the stages: boxes, ground plane, zones and clocks."""
