# A session of its own with a real systemd user manager, for the command that is given; run by `unshare -mn`.
# systemd serves a user only on a machine that it has booted, which it sees by /run/systemd/system.
set -eu
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
mkdir -m 700 "$XDG_RUNTIME_DIR"
/lib/systemd/systemd --user --unit=basic.target >/dev/null 2>&1 &
manager=$!
trap 'kill $manager; wait $manager || true' EXIT
until systemctl --user is-system-running >/dev/null 2>&1; do
    kill -0 $manager
    sleep 0.05
done
"$@"
