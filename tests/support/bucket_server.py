"""A server that speaks S3, as a process of its own: moto's, with its buckets in memory."""

import os
import re
import subprocess
import sys
import threading

_START_S = 60.0
_END_S = 10.0
_WORDS = ["-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


class BucketServer:
    """A context manager with one empty bucket, `lab-files`; `environment` is what a client of it needs."""

    bucket = "lab-files"

    def __init__(self, log):
        self._log_path = log
        self._process = None
        self.url = None

    def __enter__(self):
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, *_WORDS], stdout=log, stderr=log,
                                             env={**os.environ, **CREDENTIALS, "PYTHONUNBUFFERED": "1"})
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
            self.files().mkdir(self.bucket)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def environment(self):
        """Where the server is and who asks, as the AWS tools are told; without the machine's own settings."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}

    def files(self):
        """The server past our own code."""
        import s3fs

        return s3fs.S3FileSystem(key=CREDENTIALS["AWS_ACCESS_KEY_ID"], secret=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                                 endpoint_url=self.url, use_listings_cache=False, skip_instance_cache=True)

    def names(self):
        """Every object."""
        return sorted(self.files().find(self.bucket))

    def _port(self):
        waited = threading.Event()
        for _ in range(int(_START_S / 0.05)):
            found = re.search(r"Running on http://127\.0\.0\.1:(\d+)", self._log_path.read_text(errors="replace"))
            if found:
                return int(found[1])
            if self._process.poll() is not None:
                break
            waited.wait(0.05)
        raise RuntimeError(f"moto does not start: {self._log_path.read_text(errors='replace')}")
