#!/usr/bin/env bash
# A grid on the nodes of a Slurm job: sbatch cluster/slurm.sh PRESET [key=value ...]
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
driver=

# Called by the trap below.
# shellcheck disable=SC2329
clean_up() {
    code=$?
    trap '' TERM INT HUP
    trap - EXIT
    set +e
    # srun hands the signal to what it runs; ray start --block then ends all that it started.
    [ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2> /dev/null
    wait
    srun --overlap --nodes="${#nodes[@]}" --ntasks-per-node=1 rm -rf "$base"
    rm -rf "$private"
    exit "$code"
}
trap clean_up EXIT
# The driver ends its trials and keeps their records; wait below then gives its exit code.
trap '[ -z "$driver" ] || kill -TERM "$driver" 2> /dev/null' TERM INT HUP

(umask 077; python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$private/token")
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$private/token"
unset RAY_AUTH_TOKEN RAY_ADDRESS RAY_TMPDIR

# Jobs that share a node get other ports: four numbers for each of 10,000 jobs.
port=$((20000 + SLURM_JOB_ID % 10000 * 4))

# A command on one node, with all that the job has there. No function: in the background, the process
# to signal is then srun itself.
step=(srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="$cpus")

addresses=$("${step[@]}" --nodelist="$head" hostname --ip-address)
for ip in $addresses; do
    # The first that is IPv4; a host may name others too.
    case $ip in *.*) break ;; esac
done
address="$ip:$port"

start() { # NODE OPTIONS...: a Ray node, in the background
    local node=$1
    shift
    # shellcheck disable=SC2016
    "${step[@]}" --nodelist="$node" bash -c 'umask 077; mkdir -p "$0" && exec ray start "$@"' "$base" \
        --block --disable-usage-stats --num-cpus="$cpus" \
        --min-worker-port=0 --max-worker-port=0 "$@" > "$private/$node.log" 2>&1 &
    pids+=($!)
}

start "$head" --head --node-ip-address="$ip" --port="$port" --temp-dir="$base/ray" \
    --dashboard-host=127.0.0.1 --dashboard-port=$((port + 1)) \
    --ray-client-server-port=$((port + 2))
# A worker that starts before its head gives up.
until "${step[@]}" --nodelist="$head" ray health-check --address "$address" > /dev/null 2>&1; do
    if ! kill -0 "${pids[0]}" 2> /dev/null || [ "$SECONDS" -gt 300 ]; then
        tail -n 20 "$private/$head.log" >&2
        echo "error: Ray's head node does not start on $head" >&2
        exit 1
    fi
    sleep 1
done
for node in "${nodes[@]:1}"; do
    start "$node" --address="$address"
done
# The grid is planned for the nodes that are there when it starts.
"${step[@]}" --nodelist="$head" python - "$address" "${#nodes[@]}" << 'WAIT' || { tail -n 20 "$private"/*.log >&2; exit 1; }
import sys, time
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
end = time.monotonic() + 300
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    if time.monotonic() > end:
        sys.exit("error: not all nodes have joined the head node")
    time.sleep(1)
WAIT

"${step[@]}" --nodelist="$head" python -m orchestrator run "$@" "ray.address=$address" &
driver=$!
code=0
wait "$driver" || code=$?
# A signal ends the first wait; the driver's own exit code comes when it has ended.
while kill -0 "$driver" 2> /dev/null; do
    code=0
    wait "$driver" || code=$?
done
exit "$code"
