"""The procedural stage world: teacher of the embedded model and painter of the animatic."""
