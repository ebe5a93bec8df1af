"""The picture and the table of returns, from raw logs."""

import json

from matplotlib import axes as mpl_axes

from mulearn.evaluate import returns_picture


def _curve(*returns):
  return [
      {"env_steps": 1000 * i, "mean_return": r} for i, r in enumerate(returns)
  ]


def test_every_seed_and_their_mean_is_a_line(tmp_path, monkeypatch):
  drawn = []
  plot = mpl_axes.Axes.plot

  def record(axes, *args, **kwargs):
    drawn.extend(plot(axes, *args, **kwargs))
    return drawn[-1:]

  monkeypatch.setattr(mpl_axes.Axes, "plot", record)
  games = {
      "cart-pole": {"ppo": [_curve(10.0, 500.0), _curve(20.0, 400.0)]},
      "Breakout": {"dqn": [_curve(0.5, 7.0)]},
      "pendulum": {"sampled": [_curve(-900.0, -150.0)]},
  }
  figures = {"cart-pole": 475.0, "Breakout": 20.0, "pendulum": -250.0}
  returns_picture.draw_returns(tmp_path / "returns.png", games, figures)
  lines = [list(line.get_ydata()) for line in drawn]
  for expected in ([10.0, 500.0], [20.0, 400.0], [15.0, 450.0], [0.5, 7.0]):
    assert expected in lines
  assert drawn[0].axes.get_ylim()[0] == 0.0
  assert drawn[-1].axes.get_ylim()[0] < -900.0
  svg = (tmp_path / "returns.svg").read_text()
  for words in ("cart-pole", "Breakout", "ppo, 2 seeds", "dqn, 1 seed"):
    assert f"<!-- {words} -->" in svg


def test_the_table_has_an_interval_where_there_are_seeds(tmp_path):
  def write(arm, seed, value):
    path = tmp_path / arm / f"seed_{seed}" / "results.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps(
            {
                "final": {"mean_return": value},
                "worst_of_last_quarter": value - 1.0,
                "env_steps": 2048,
                "seconds": 10.0 + seed,
            }
        )
    )

  for seed, value in enumerate((1.0, 2.0, 3.0)):
    write("ppo", seed, value)
  write("dqn", 0, 7.0)
  lines = returns_picture.returns_table(tmp_path).splitlines()
  assert lines[2] == "| `dqn` | 7.0 | 7.0 | 6.0 | 2,048 | 10 to 10 |"
  # Student's t for 3 seeds is 4.303, and the standard error 1 / sqrt(3).
  assert lines[3] == (
      "| `ppo` | 2.0 +- 2.5 | 1.0, 2.0, 3.0 | 0.0 | 2,048 | 10 to 12 |"
  )
