from arm_control.drivers.patience import FROZEN, Patience


class Clocks:
    ros = 10.0
    steady = 0.0

    def patience(self, limit: float) -> Patience:
        return Patience(limit, lambda: int(self.ros * 1e9), lambda: self.steady)


def test_slow_time_stretches_the_limit():
    clocks = Clocks()
    patience = clocks.patience(2.0)
    for _ in range(19):
        clocks.ros += 0.1
        clocks.steady += 1.0
        assert patience.left() > 0
        assert not patience.frozen()
    clocks.ros += 0.2
    assert patience.left() <= 0


def test_dead_time_is_noticed():
    clocks = Clocks()
    patience = clocks.patience(2.0)
    clocks.steady += FROZEN + 0.1
    assert patience.left() > 0
    assert patience.frozen()
    clocks.ros += 0.1
    assert patience.left() > 0
    assert not patience.frozen()


def test_time_that_jumps_back_starts_the_wait_anew():
    clocks = Clocks()
    patience = clocks.patience(2.0)
    clocks.ros = 1.0
    assert patience.left() == 2.0
    clocks.ros = 3.5
    assert patience.left() <= 0
