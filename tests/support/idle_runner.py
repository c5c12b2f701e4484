"""A Beam runner whose workers see another file system than we do: nothing that they write arrives here."""

from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState


class _Result(PipelineResult):
    def wait_until_finish(self, duration=None):
        return self.state


class IdleRunner(PipelineRunner):
    """Takes any pipeline and says that it is done."""

    def run_pipeline(self, pipeline, options):
        return _Result(PipelineState.DONE)
