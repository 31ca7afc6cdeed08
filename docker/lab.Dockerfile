FROM python:3.11-slim
RUN useradd --create-home lab
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
