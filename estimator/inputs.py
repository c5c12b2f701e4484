"""Record sets -> batches for each replica and machine."""

import dataclasses
from typing import Any

import tensorflow as tf

from common.errors import FlagError
from estimator.config import DeviceSettings, TrainingSettings
from processors.records.input_fn import InputSettings, Vectors, build_input_fn, first_lengths, places_of_batch
from processors.records.record_sets import RecordSet
from processors.records.schema import FeatureSpec

SAMPLED_ROWS = 256
"""Rows whose lengths stand for those of all."""


class Inputs:
    """Makes the `input_fn`s of a run.

    Args:
      spec: of the records.
      training: batch sizes, shuffling, micro-batches.
      devices: whether shapes are static.
    """

    def __init__(self, spec: FeatureSpec, training: TrainingSettings, devices: DeviceSettings) -> None:
        self._spec, self._training, self._devices = spec, training, devices

    def input_fn(
        self,
        record_set: RecordSet,
        batch_size: int,
        start_step: int | None = None,
        sorts: bool = False,
        vectors: Vectors | None = None,
    ) -> Any:
        """The `input_fn` of a record set, for the Estimator.

        Args:
          record_set: what is read.
          batch_size: rows of a batch over all replicas.
          start_step: the step that training goes on from; None where it does not train.
          sorts: whether rows of similar length stand together.
          vectors: what stands beside the records; None for nothing.
        """

        def input_fn(
            params: dict[str, Any] | None = None, input_context: tf.distribute.InputContext | None = None
        ) -> tf.data.Dataset:
            context = input_context or tf.distribute.InputContext()
            share = self._share_of_a_replica(batch_size, context.num_replicas_in_sync)
            if start_step is not None:
                self._check_micro_batches(share)
            dataset = self._batches(record_set, share, batch_size, start_step, sorts, vectors)(params)
            if context.num_input_pipelines == 1:
                return dataset
            # Every machine makes the same stream of batches and takes those that are its own.
            return dataset.shard(context.num_input_pipelines, context.input_pipeline_id)

        return input_fn

    def lengths(self, record_set: RecordSet) -> list[int]:
        """Tokens of some rows as they are computed on: padded where shapes are static."""
        found = first_lengths(record_set.files, self._spec, SAMPLED_ROWS)
        if self._devices.needs_static_shapes:
            padded = [field.static for field in self._spec.fields if field.name == "input_ids" and field.static]
            return padded or found
        return found

    def places_of_step(self, record_set: RecordSet, step: int) -> list[tuple[str, int]]:
        """File and record number of each row of an update, over all replicas; the first update is number 1."""
        rows = self._training.train_batch_size
        return places_of_batch(record_set.files, self._settings(record_set, rows, rows, step - 1, sorts=False))

    @staticmethod
    def _share_of_a_replica(batch_size: int, replicas: int) -> int:
        if batch_size % replicas:
            raise FlagError(
                f"--train_batch_size={batch_size} cannot be shared by {replicas} devices; give a multiple of {replicas}"
            )
        return batch_size // replicas

    def _check_micro_batches(self, rows: int) -> None:
        steps = self._training.gradient_accumulation_steps
        if rows % steps:
            raise FlagError(
                f"--gradient_accumulation_steps={steps} does not divide the {rows} rows that each device has of "
                "--train_batch_size; give a divisor"
            )

    def _batches(
        self,
        record_set: RecordSet,
        batch_size: int,
        global_batch_size: int,
        start_step: int | None,
        sorts: bool,
        vectors: Vectors | None,
    ) -> Any:
        settings = self._settings(record_set, batch_size, global_batch_size, start_step, sorts)
        settings = dataclasses.replace(settings, vectors=vectors)
        return build_input_fn(record_set.files, self._spec, settings)

    def _settings(
        self, record_set: RecordSet, batch_size: int, global_batch_size: int, start_step: int | None, sorts: bool
    ) -> InputSettings:
        static_shapes = self._devices.needs_static_shapes
        return InputSettings(
            batch_size=batch_size,
            num_records=record_set.num_records,
            is_training=start_step is not None,
            seed=self._training.seed,
            skip_records=(start_step or 0) * global_batch_size,
            static_shapes=static_shapes,
            shuffle_buffer=self._training.shuffle_buffer,
            sorts_by_length=sorts and not static_shapes,
        )
