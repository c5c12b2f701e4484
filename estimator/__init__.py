"""How the graph is run: the only room that touches `tf.estimator`."""
