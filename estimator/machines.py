"""Several machines: the strategy over them, TensorFlow's server on each, and what they must have in common."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from common.cluster.base import Cluster
from common.cluster.member import ClusterError, Member

SAME_FILES = "every machine must see the same --output_dir and data, on a file system that they share"


@contextlib.contextmanager
def session_mode(cluster: Cluster) -> Iterator[None]:
    """A block in which TensorFlow makes the strategy of several machines for sessions, as the Estimator needs it.

    Outside a graph it would make one for eager execution, and so would every copy that the Estimator takes of it.
    """
    with contextlib.nullcontext() if cluster.member is None else tf.Graph().as_default():
        yield


@functools.cache
def strategy_and_server(member: Member, gpus: int) -> tuple[tf.distribute.Strategy, Any]:
    """The strategy over all machines, and the server of this one, which lives as long as its process: made once.

    Args:
      member: this machine's place in the cluster.
      gpus: of this machine, as many as of every other.

    Called within `session_mode`. The session's configuration says which devices of the cluster this machine uses, and
    who leads the others.
    """
    spec = tf.train.ClusterSpec({job: list(addresses) for job, addresses in member.jobs.items()})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec,
        task_type=member.job,
        task_id=member.index,
        num_accelerators={"GPU": gpus},
        rpc_layer="grpc",
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    strategy.configure(config)
    server = tf.distribute.Server(spec, job_name=member.job, task_index=member.index, config=config, protocol="grpc")
    return strategy, server


class RunConfig(tf.estimator.RunConfig):
    """A configuration whose sessions run on the server of this machine.

    Args:
      target: address of the server; the empty one is this process.
      arguments: of TensorFlow's own class.
    """

    def __init__(self, target: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._target = target

    @property
    def master(self) -> str:
        """Where sessions run."""
        return self._target


def check_same(name: str, here: dict[str, Any], chief: dict[str, Any]) -> None:
    """Compares what this machine has found with what the chief has.

    Args:
      name: of this machine.
      here: by name.
      chief: the same of the chief.

    Raises:
      ClusterError: they differ.
    """
    for key, value in chief.items():
        if here.get(key) != value:
            raise ClusterError(f"{name} finds {here.get(key)} {key}, the chief {value}; {SAME_FILES}")
