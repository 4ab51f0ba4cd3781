"""A demo run: starts the nodes, waits for them, runs the rounds, records, and reports whatever ends it."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from seegrasp_msgs.msg import PickAttempt

from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.bag_writer import BagError, BagWriter
from grasp_eval.demo_client import DemoClient, DemoError
from grasp_eval.demo_pictures import AttemptPictures
from grasp_eval.demo_round import GOOD_ENDS, Interrupted, Plan, RoundRunner
from grasp_eval.progress import Progress
from grasp_eval.recorder import DEFAULT_TOPICS, Recorder, Selection
from grasp_eval.report import command_line, write_demo_report
from grasp_eval.results import (
    Attempt,
    Round,
    SaveError,
    append_csv,
    percentiles,
    rounds_markdown,
    totals,
    write_atomic,
    write_json,
)
from grasp_ros.tf_listener import TfListener
from seegrasp.bringup import Bringup

IMAGE_RATE_HZ = 1.0
IMAGES = ("color/image_raw", "aligned_depth_to_color/image_raw")
INFOS = ("color/camera_info", "aligned_depth_to_color/camera_info")
READY_S = 180.0


class Demo:
    """A run: one stack, one bag, one folder of results, several rounds."""

    def __init__(self, args: argparse.Namespace, folder: Path, system: Bringup, progress: Progress) -> None:
        self.args, self.folder, self.system, self.progress = args, folder, system, progress
        self.seeds: list[int] = args.seed_list
        self.rounds: list[Round] = []
        self.pictures: dict[tuple[int, int], str] = {}
        self.problems: list[str] = []
        self.interrupts = 0
        self.started = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self.cell = Cell.load(args.cell)
        self._prefix = f"/{self.cell.cameras[0].namespace}/{self.cell.cameras[0].name}"
        self._reported_dead: set[str] = set()
        self._client: DemoClient | None = None

    def abort(self) -> None:
        """Raise when waiting makes no sense any more: Ctrl-C, or a node died."""
        if self.interrupts:
            raise Interrupted
        if self._client is not None and self._client.failure:
            raise DemoError(f"the demo's own ROS client failed: {self._client.failure}")
        for dead in self.system.dead():
            if dead.name not in self._reported_dead:
                self._reported_dead.add(dead.name)
                raise DemoError(str(dead))

    def run(self) -> bool:
        """The whole run; whether all went well. Results are written whatever happens."""
        good = False
        try:
            self.progress.line(f"results go to {self.folder}; ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']}")
            self.system.start()
            good = self._with_ros()
        except Interrupted:
            self._problem("interrupted by Ctrl-C")
        except (DemoError, ConfigError, BagError, SaveError, OSError) as error:
            self._problem(str(error))
        finally:
            self.system.stop()
            good = self._report() and good
        return good and not self.problems

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self.progress.line(text)

    def _with_ros(self) -> bool:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node, client_node = Node("demo_recorder"), Node("demo")
        executor = SingleThreadedExecutor()
        client = self._client = DemoClient(client_node)
        recorder = thread = None
        try:
            tf = TfListener(client_node)
            client.wait_ready(READY_S, self.abort, self._show_missing)
            self.progress.line("all nodes are ready")
            recorder = self._recorder(node)
            pictures = self._pictures(recorder, tf)
            executor.add_node(node)
            thread = threading.Thread(target=_spin, args=(executor,), name="recorder", daemon=True)
            thread.start()
            return self._rounds(client, recorder, pictures)
        finally:
            executor.shutdown(timeout_sec=5.0)
            if thread is not None:
                thread.join(timeout=5.0)
            client.close()
            self._finish_bag(recorder)
            node.destroy_node()
            client_node.destroy_node()
            rclpy.try_shutdown()

    def _show_missing(self, missing: list[str]) -> None:
        self.progress.status(f"waiting for {', '.join(missing)}")

    def _recorder(self, node: Node) -> Recorder:
        rates = {f"/{c.namespace}/{c.name}/{kind}": IMAGE_RATE_HZ for c in self.cell.cameras for kind in IMAGES}
        rates |= {f"/{c.namespace}/{c.name}/{kind}": 2.0 for c in self.cell.cameras for kind in INFOS}
        rates["/camera_node/cloud"] = 2.0
        topics = tuple(rates) if self.args.no_bag else (*DEFAULT_TOPICS, *rates)
        writer = None if self.args.no_bag else BagWriter(self.folder / "bag")
        return Recorder(node, writer, Selection(topics), max_rate=rates, sim_time=True, on_error=self._problem)

    def _pictures(self, recorder: Recorder, tf: TfListener) -> AttemptPictures:
        return AttemptPictures(recorder, tf, self.cell.base_frame, Gripper.load(self.cell.gripper), self._prefix)

    def _finish_bag(self, recorder: Recorder | None) -> None:
        if recorder is not None:
            try:
                recorder.stop()
            except (BagError, OSError) as error:
                self._problem(str(error))

    def _rounds(self, client: DemoClient, recorder: Recorder, pictures: AttemptPictures) -> bool:
        plan = Plan(self.args.scene, self.args.objects, self.args.timeout, self.args.max_attempts)

        def on_stage(stage: str) -> None:
            if pictures.stage == "detect" and stage != "detect":
                for kind in (*IMAGES, *INFOS):
                    recorder.keep_latest(f"{self._prefix}/{kind}")
            pictures.stage = stage

        def on_attempt(msg: PickAttempt, attempt: Attempt) -> None:
            append_csv(self.folder / "picks.csv", attempt.row())
            picture = pictures.of(msg)
            if picture:
                self.pictures[attempt.seed, attempt.index] = picture

        for seed in self.seeds:
            pictures.clear()
            runner = RoundRunner(
                client,
                self.cell,
                plan,
                seed,
                progress=self.progress,
                abort=self.abort,
                on_attempt=self._safely(on_attempt),
                on_stage=on_stage,
            )
            self.rounds.append(runner.result)
            runner.run()
            self._save_summary()
        if self.args.keep:
            self._hold()
        return all(r.finished and r.error_code in GOOD_ENDS for r in self.rounds)

    def _safely(self, action: Callable[[PickAttempt, Attempt], None]) -> Callable[[PickAttempt, Attempt], None]:
        def guarded(msg: PickAttempt, attempt: Attempt) -> None:
            try:
                action(msg, attempt)
            except (SaveError, SeegraspError) as error:
                if str(error) not in self.problems:
                    self._problem(str(error))

        return guarded

    def _hold(self) -> None:
        self.progress.line("the nodes keep running; Ctrl-C ends them")
        while not self.interrupts and not self.system.dead():
            time.sleep(0.2)

    def about(self) -> dict[str, str]:
        """Facts of the run for the report."""
        args = self.args
        return {
            "started": self.started,
            "command": command_line(),
            "scene": f"{args.scene}, {args.objects} objects, seeds {', '.join(map(str, self.seeds))}",
            "depth noise": "off" if args.no_noise else "on",
            "ROS domain": os.environ["ROS_DOMAIN_ID"],
            "nodes": ", ".join(self.system.names),
        }

    def _save_summary(self) -> None:
        rounds = [vars(r) | {"attempts": [vars(a) | {"error": a.error} for a in r.attempts]} for r in self.rounds]
        attempts = [a for r in self.rounds for a in r.attempts]
        summary = {"about": self.about(), "problems": self.problems, "totals": totals(self.rounds)}
        write_json(self.folder / "summary.json", summary | {"timings": percentiles(attempts), "rounds": rounds})
        write_atomic(self.folder / "results.md", rounds_markdown(self.rounds, command_line()))

    def _report(self) -> bool:
        files = ["picks.csv", "summary.json", "results.md", "bag/metadata.yaml", "logs"]
        try:
            self._save_summary()
            path = write_demo_report(
                self.folder,
                title="seegrasp demo",
                rounds=self.rounds,
                pictures=self.pictures,
                about=self.about(),
                problems=self.problems,
                files=[f for f in files if (self.folder / f).exists()],
            )
        except SaveError as error:
            self._problem(str(error))
            return False
        self._closing(path)
        return True

    def _closing(self, path: Path) -> None:
        total = totals(self.rounds)
        objects, attempts = total["objects"], total["attempts"]
        print(f"\nobjects in the tray   {objects['count']} of {objects['of']}")
        print(f"attempts succeeded    {attempts['count']} of {attempts['of']}")
        for label, key in (("robot time", "picks_per_hour_ros"), ("wall clock", "picks_per_hour_wall")):
            if total[key] is not None:
                print(f"picks per hour        {total[key]:.0f} ({label})")
        for reason, count in total["failures"].items():
            print(f"  {count} x {reason}")
        for problem in self.problems:
            print(f"problem: {problem}", file=sys.stderr)
        places = {"report": path, "table": self.folder / "picks.csv", "bag": self.folder / "bag"}
        for name, place in (places | {"logs": self.folder / "logs"}).items():
            if place.exists():
                print(f"{name:7} {place}", flush=True)


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return
