#!/usr/bin/env bash
# A grid on the nodes of a Slurm job: sbatch cluster/slurm.sh PRESET [key=value ...]
# A search on them: sbatch cluster/slurm.sh tune PRESET SPACE [key=value ...]
#
# Submit it from the project's folder, which all nodes must share; the run directory is made there
# (runs/PRESET, or --run-dir). The same command again goes on where a job ended. Change the lines
# below to your partition and GPUs; options of sbatch on the command line win.
#SBATCH --job-name=one-or-many
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --output=%x-%j.log
# Two minutes before the time is up the grid is asked to end and keeps what it has.
#SBATCH --signal=B:TERM@120
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: sbatch cluster/slurm.sh PRESET [key=value ...]" >&2; exit 2; }
[ -n "${SLURM_JOB_ID:-}" ] || { echo "error: this is a batch script: sbatch $0 ..." >&2; exit 2; }
cd "${SLURM_SUBMIT_DIR:?}"
case $1 in run | tune) ;; *) set -- run "$@" ;; esac
venv=${VENV:-.venv}
[ -r "$venv/bin/activate" ] || { echo "error: no $venv here: make install" >&2; exit 2; }
# shellcheck disable=SC1091
. "$venv/bin/activate"

mapfile -t nodes < <(scontrol show hostnames "${SLURM_JOB_NODELIST:?}")
head=${nodes[0]}
cpus=${SLURM_CPUS_PER_TASK:-1}

# On every node, for this user alone: Ray's sockets, logs and the code that its workers run. Not in
# TMPDIR, which is often too long for the name of a socket.
base="${RAY_TMPDIR:-/tmp}/one-or-many-$(id -u)-$SLURM_JOB_ID"
# Shared by the nodes, for this user alone: the token of this one job.
private=$(mktemp -d "$PWD/.ray-$SLURM_JOB_ID-XXXXXX")
pids=()
running=
told=

# What runs a command in a step. srun kills what it runs where it is told to end, but hands USR2 on, of
# which this makes a TERM. The command ignores USR2 (USR1 has a meaning for Ray Tune), for some clusters
# signal every process of a step.
# shellcheck disable=SC2329
gently() {
    local child='' told='' began
    trap 'told=1; [ -z "$child" ] || kill -TERM "$child" 2> /dev/null' USR2 TERM
    (trap '' USR2; exec "$@") &
    began=$!
    # As long as it is a copy of this shell, a signal may be lost on it.
    while cmp -s "/proc/$$/cmdline" "/proc/$began/cmdline"; do sleep 0.01; done
    child=$began
    [ -z "$told" ] || kill -TERM "$child" 2> /dev/null
    # A signal ends a wait, not the command.
    while kill -0 "$child" 2> /dev/null; do wait "$child"; done
    wait "$child"
}
gentle="$(declare -f gently); gently \"\$@\""

# Called by the trap below.
# shellcheck disable=SC2329
clean_up() {
    code=$?
    trap '' TERM INT HUP
    trap - EXIT
    set +e
    # Without what bash tells of steps that die of the signal because they have hardly begun.
    exec 3>&2 2> /dev/null
    # On its TERM ray start --block ends all that it started.
    [ ${#pids[@]} -eq 0 ] || kill -USR2 "${pids[@]}"
    wait
    srun --overlap --nodes="${#nodes[@]}" --ntasks-per-node=1 rm -rf "$base" 2>&3
    rm -rf "$private" 2>&3
    exit "$code"
}
trap clean_up EXIT
# The grid ends its trials and keeps their records; one that has not begun never does.
trap 'told=1; [ -z "$running" ] || kill -USR2 "$running" 2> /dev/null' TERM INT HUP

await() { # PID: waits for a step in the background, gives its exit code
    running=$1
    [ -z "$told" ] || kill -USR2 "$running" 2> /dev/null || true
    while kill -0 "$1" 2> /dev/null; do wait "$1" || true; done
    running=
    wait "$1"
}
end_if_told() {
    [ -z "$told" ] || { echo "interrupted before the grid began" >&2; exit 130; }
}

(umask 077; python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$private/token")
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$private/token"
unset RAY_AUTH_TOKEN RAY_ADDRESS RAY_TMPDIR

# Jobs that share a node get other ports: four numbers for each of 10,000 jobs.
port=$((20000 + SLURM_JOB_ID % 10000 * 4))

# A command on one node, with all that the job has there. No function: in the background, the process
# to signal is then srun itself.
step=(srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="$cpus")

# The first that is IPv4 and no loopback, which Debian gives for a machine's own name.
ip=
for found in $("${step[@]}" --nodelist="$head" \
    bash -c 'hostname --ip-address; hostname --all-ip-addresses'); do
    case $found in
        *:*) continue ;;
        127.*) [ ${#nodes[@]} -eq 1 ] || continue ;;
    esac
    ip=$found
    break
done
[ -n "$ip" ] || { echo "error: $head has no IPv4 address that other nodes can reach" >&2; exit 1; }
address="$ip:$port"

start() { # NODE OPTIONS...: a Ray node, in the background
    local node=$1
    shift
    "${step[@]}" --nodelist="$node" bash -c "umask 077; mkdir -p \"\$0\" || exit; $gentle" "$base" \
        ray start --block --disable-usage-stats --num-cpus="$cpus" \
        --min-worker-port=0 --max-worker-port=0 "$@" > "$private/$node.log" 2>&1 &
    pids+=($!)
}

start "$head" --head --node-ip-address="$ip" --port="$port" --temp-dir="$base/ray" \
    --dashboard-host=127.0.0.1 --dashboard-port=$((port + 1)) \
    --ray-client-server-port=$((port + 2)) --dashboard-agent-listen-port=$((port + 3))
# A worker that starts before its head gives up.
until "${step[@]}" --nodelist="$head" ray health-check --address "$address" > /dev/null 2>&1; do
    if ! kill -0 "${pids[0]}" 2> /dev/null || [ "$SECONDS" -gt 300 ]; then
        tail -n 20 "$private/$head.log" >&2
        echo "error: Ray's head node does not start on $head" >&2
        exit 1
    fi
    end_if_told
    sleep 1
done
end_if_told
for node in "${nodes[@]:1}"; do
    start "$node" --address="$address"
done
# The grid is planned for the nodes that are there when it starts.
"${step[@]}" --nodelist="$head" python - "$address" "${#nodes[@]}" << 'WAIT' &
import sys, time
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
end = time.monotonic() + 300
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    if time.monotonic() > end:
        sys.exit("error: not all nodes have joined the head node")
    time.sleep(1)
WAIT
joined=0
await $! || joined=$?
end_if_told
[ "$joined" -eq 0 ] || { tail -n 20 "$private"/*.log >&2; exit 1; }

"${step[@]}" --nodelist="$head" bash -c "$gentle" gently \
    python -m orchestrator "$@" "ray.address=$address" &
code=0
await $! || code=$?
exit "$code"
