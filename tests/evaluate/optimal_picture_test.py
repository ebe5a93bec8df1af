"""The picture of solved games: where none is lost there is a line as well."""

from matplotlib import axes as mpl_axes

from mulearn.evaluate import optimal_picture


def _curve(*rates):
  return [
      {"env_steps": 1000 * i, "optimal_rate": r, "policy_rate": r / 2}
      for i, r in enumerate(rates)
  ]


def test_every_seed_is_a_line_and_perfect_play_is_on_the_axis(
    tmp_path, monkeypatch
):
  drawn = []
  plot = mpl_axes.Axes.plot

  def record(axes, *args, **kwargs):
    drawn.extend(plot(axes, *args, **kwargs))
    return drawn[-1:]

  monkeypatch.setattr(mpl_axes.Axes, "plot", record)
  games = {
      "Hex": {"alphazero": [_curve(0.5, 1.0), _curve(0.25, 1.0)]},
      "Nim": {"muzero": [_curve(0.75, 0.875)]},
  }
  optimal_picture.draw_optimal(tmp_path / "optimal.png", games)
  lines = [list(line.get_ydata()) for line in drawn]
  for expected in ([0.5, 0.0], [0.75, 0.0], [0.25, 0.125]):
    assert expected in lines
  assert all(a.get_ylim()[0] < 0 for a in {line.axes for line in drawn})
  svg = (tmp_path / "optimal.svg").read_text()
  for words in ("Hex", "Nim", "alphazero, 2 seeds", "muzero, 1 seed"):
    assert f"<!-- {words} -->" in svg
