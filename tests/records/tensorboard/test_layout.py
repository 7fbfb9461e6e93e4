import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from mlr.records.tensorboard.layout import (
    DETAILS,
    PAGES,
    bands_summary,
    layout_summary,
    link,
    pages,
)
from tests.records.reading import accumulate
from tests.records.written import write_events

LAYERS = tuple(f"grad_norm/layer{number}" for number in range(3))
TAGS = (
    *("loss/train", "loss/val", "accuracy/train", "accuracy/val", "grad_norm/total", *LAYERS),
    *("logit_grad/wrong", "logit_grad/right", "saturation/fraction", "stuck/fraction"),
)
# totals, quantiles and numbers that are 0 in a healthy run
LEFT_TO_TIME_SERIES = {
    *("logit_grad", "stuck", "zero_grad", "grad_norm", "nonfinite", "loss", "accuracy"),
    *("learning_rate", "predicted_std", "rmse"),  # rmse only at the end
}
GAUSSIAN = ("loss/train", "predicted_std/train", "predicted_std/val", "predicted_std/test")


def test_tensorboard_reads_the_questions(tmp_path):
    write_events(tmp_path, (layout_summary(TAGS), 0))
    found = accumulate(tmp_path)
    assert list(found.PluginTagToContent("custom_scalars")) == [metadata.CONFIG_SUMMARY_TAG]
    (event,) = found.Tensors(metadata.CONFIG_SUMMARY_TAG)
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    read = {
        page.title: {chart.title: chart.multiline.tag[0] for chart in page.chart}
        for page in layout.category
    }
    assert read == pages(TAGS)
    assert list(read) == list(PAGES)


def taken(tags):
    """chart → tags that TensorBoard will draw in it."""
    charts = [chart for page in pages(tags).values() for chart in page.items()]
    return {title: [tag for tag in tags if re.match(pattern, tag)] for title, pattern in charts}


def test_charts_take_the_tags_they_name_and_no_others():
    drawn = taken((*TAGS, "logit_grad/wrongly", "grad_norm/layer10"))
    assert drawn["wrong and right together"] == ["logit_grad/wrong", "logit_grad/right"]
    assert drawn["all layers: gradient norm"] == [*LAYERS, "grad_norm/layer10"]
    assert drawn["layer1: gradient norm"] == ["grad_norm/layer1"]
    assert not any("logit_grad/wrongly" in tags for tags in drawn.values())


def test_charts_that_a_run_cannot_fill_are_left_out():
    """A regression has no wrong examples; one layer needs no chart of all layers."""
    drawn = taken(("loss/train", "saturation/fraction", "grad_norm/total", "grad_norm/layer0"))
    assert list(drawn) == [
        "saturated outputs (fraction)",
        "layer0: gradient norm",
        "loss: train",
    ]
    assert pages(()) == {}


def test_a_predicted_deviation_has_charts_of_its_own():
    drawn = taken(GAUSSIAN)
    assert drawn["predicted standard deviation: train"] == ["predicted_std/train"]
    assert drawn["predicted standard deviation: val"] == ["predicted_std/val"]
    assert not any("predicted" in title for title in taken(TAGS))


def test_an_aggregate_has_a_band_in_each_chart_of_one_tag():
    (value,) = bands_summary(("loss/train", "logit_grad/wrong", *LAYERS[:2]), ("low", "high")).value
    layout = layout_pb2.Layout.FromString(value.tensor.string_val[0])
    read = [
        (page.title, chart.title, [(s.value, s.lower, s.upper) for s in chart.margin.series])
        for page in layout.category
        for chart in page.chart
    ]
    assert read == [
        (page, chart, [(tag, f"low/{tag}", f"high/{tag}")])
        for page, chart, tag in (
            ("Who gets gradient?", "wrong examples: mean ‖dL/dz‖", "logit_grad/wrong"),
            ("Who gets gradient?", "wrong and right together", "logit_grad/wrong"),
            ("Which layer starves?", "layer0: gradient norm", LAYERS[0]),
            ("Which layer starves?", "layer1: gradient norm", LAYERS[1]),
            ("Does it learn?", "loss: train", "loss/train"),
        )
    ]


def test_every_run_names_all_pages_in_their_order():
    """Else the pages would stand in another order where TensorBoard found a regression first."""
    regression = ("loss/train", "logit_grad/mean", "saturation/fraction", "grad_norm/layer0")
    assert list(pages(regression)) == list(pages(TAGS)) == list(PAGES)
    assert list(pages(regression)["Who gets gradient?"]) == ["all examples: mean ‖dL/dz‖"]
    assert "all examples: mean ‖dL/dz‖" not in taken((*TAGS, "logit_grad/mean"))


def test_the_link_pins_what_the_runs_have_and_colours_by_head_and_loss():
    address = urlsplit("http://localhost:6006/" + link(["loss/val", "logit_grad/wrong", "x"]))
    query = {name: value for name, (value,) in parse_qs(address.query).items()}
    assert (address.fragment, query["smoothing"]) == ("timeseries", "0")
    pinned = json.loads(query["pinnedCards"])
    assert [card["tag"] for card in pinned] == ["logit_grad/wrong", "loss/val"]
    pattern = query["runColorGroup"].removeprefix("regex:")
    names = ("a/clipped_linear+se,seed=0", "clipped_linear+se,seed=1")
    assert {re.search(pattern, name)[1] for name in names} == {"clipped_linear+se"}
    assert re.search(pattern, "2026-11-23/14-46-45-6cea59")[1] == "2026-11-23/14-46-45-6cea59"


@pytest.mark.parametrize(("layers", "charts"), [(12, 13), (13, 1)])
def test_a_deep_network_has_one_chart_of_all_layers(layers, charts):
    tags = tuple(f"grad_norm/layer{number}" for number in range(layers))
    assert len(taken(tags)) == charts


FULL = (
    *("logit_grad_confidence/wrong_high", "logit_grad_confidence/right_low"),
    *("logit_grad_class/0", "logit_grad_class/1", "slope/head_wrong", "slope/loss_wrong"),
    *("update_to_weight/layer0", "grad_to_weight/layer0", "dead_units/layer0", "flat_units/layer0"),
    *("grad_snr/total", "grad_snr/layer0", "grad_cosine/total", "sample_grad/mean"),
    "sample_grad/max",
)


def test_details_add_charts_to_the_pages_and_pages_behind_them():
    assert list(pages((*TAGS, *FULL))) == [*PAGES, *DETAILS]
    drawn = taken((*TAGS, *FULL))
    assert drawn["wrong examples, sure: mean ‖dL/dz‖"] == ["logit_grad_confidence/wrong_high"]
    assert drawn["right examples, unsure: mean ‖dL/dz‖"] == ["logit_grad_confidence/right_low"]
    assert drawn["head's slope dy/dz: wrong examples"] == ["slope/head_wrong"]
    assert drawn["loss's slope dL/dy: wrong examples"] == ["slope/loss_wrong"]
    assert drawn["all classes: mean |dL/dz_k|"] == ["logit_grad_class/0", "logit_grad_class/1"]
    assert drawn["class 1: mean |dL/dz_k|"] == ["logit_grad_class/1"]
    assert drawn["all layers: update to weight"] == ["update_to_weight/layer0"]
    assert drawn["all layers: signal to noise"] == ["grad_snr/layer0"]
    assert drawn["gradient of one example: mean and largest"] == [
        "sample_grad/mean",
        "sample_grad/max",
    ]


def test_every_tag_of_full_probes_but_totals_has_a_chart():
    from mlr.probes import ProbeSettings
    from mlr.training.log import run_tags
    from tests.training.conftest import dataset, experiment

    every = dict.fromkeys(("confidence", "classes", "slopes", "ratios", "direction", "units"), True)
    settings = ProbeSettings(**every, sample_gradient=True)
    for classes, pair in ((3, ("softmax", "ce")), (None, ("linear", "se"))):
        run = experiment(data=dataset(classes), head=pair[0], loss=pair[1], probes=settings)
        tags = run_tags(run)
        drawn = {tag for found in taken(tags).values() for tag in found}
        left = {tag for tag in tags if tag not in drawn}
        assert {tag.partition("/")[0] for tag in left} <= LEFT_TO_TIME_SERIES, left


def test_the_link_ticks_runs_on_the_older_pages_alone():
    address = urlsplit("http://localhost:6006/" + link(["loss/val"], ticked=r"\bseed=0(,|$)"))
    assert "runFilter" not in parse_qs(address.query)
    page, _, rest = address.fragment.partition("&")
    assert (page, parse_qs(rest)["regexInput"]) == ("timeseries", [r"\bseed=0(,|$)"])
