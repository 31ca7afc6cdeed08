FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends openssh-server && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir numpy onnxruntime && useradd --create-home pi && mkdir -p /run/sshd
# The public key is mounted by compose.yaml; there is no password login.
CMD ["/usr/sbin/sshd", "-D", "-e", "-o", "PasswordAuthentication=no", "-o", "AuthorizedKeysFile=/etc/ssh/keys/%u"]
