# The environment of seegrasp for bash: `. tools/env.sh`, from any directory, as often as you like.
# It activates .venv, puts the built interfaces on the paths and sets the DDS and rendering defaults,
# leaving alone what is already set. `make setup` makes what it needs; without that it says so and returns 1.

_seegrasp_env() {
    local root mode
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    if [ ! -f "$root/.venv/bin/activate" ] || [ ! -f "$root/install/local_setup.bash" ]; then
        echo "seegrasp is not set up in $root: run 'make -C $root setup'" >&2
        return 1
    fi
    mode="$(cat "$root/.venv/seegrasp-ros" 2>/dev/null || echo wheels)"
    if [ "$mode" != "${ROS_DISTRO:-wheels}" ]; then
        if [ "$mode" = wheels ]; then
            echo "seegrasp was set up without ROS, but ROS $ROS_DISTRO is sourced: run 'make -C $root setup' to use it" >&2
        else
            echo "seegrasp was set up on ROS $mode: run '. /opt/ros/$mode/setup.bash' first, or 'make -C $root setup'" >&2
        fi
        return 1
    fi

    # shellcheck disable=SC1091
    [ "${VIRTUAL_ENV:-}" = "$root/.venv" ] || . "$root/.venv/bin/activate"
    if [ "$mode" = wheels ]; then
        _seegrasp_prepend AMENT_PREFIX_PATH "$root/.venv"
        _seegrasp_prepend CMAKE_PREFIX_PATH "$root/.venv"
    fi
    # shellcheck disable=SC1091
    . "$root/install/local_setup.bash"
    _seegrasp_prepend PYTHONPATH "$root"

    export SEEGRASP_ROOT="$root"
    export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$root/config/fastdds.xml}"
    export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
    export MUJOCO_GL="${MUJOCO_GL:-egl}"
    # An idle OpenMP worker that spins starves the other processes of the stack.
    export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
}

_seegrasp_prepend() {  # variable, directory: in front, once
    case ":${!1:-}:" in
        *":$2:"*) ;;
        *) export "$1=$2${!1:+:${!1}}" ;;
    esac
}

_seegrasp_env
_seegrasp_status=$?
unset -f _seegrasp_env _seegrasp_prepend
return $_seegrasp_status 2>/dev/null || exit $_seegrasp_status
