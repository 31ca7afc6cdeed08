FROM python:3.11-slim
# Made here because a new volume takes over the owner of the folder it covers.
RUN useradd --create-home --uid 1000 lab && mkdir /home/lab/results /shared && chown lab: /home/lab/results /shared
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY .ci/constraints.txt ./constraints.txt
COPY lab lab
COPY agents agents
COPY compressors compressors
COPY profiles profiles
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt .
USER lab
ENV LAB_HOME=/home/lab/results
VOLUME /home/lab/results
ENTRYPOINT ["lab"]
CMD ["--help"]
