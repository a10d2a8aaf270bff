"""Texts of a burst are encoded together; what comes out is what each alone would have given."""

from hypothesis import example, given
from hypothesis import strategies as st

from gatewright.dialects.anthropic.stream_renderer import _all_encoded
from gatewright.wire.json import encode

NEAR = st.text(alphabet=st.sampled_from('",\\a\n\u2028é\U0001f600'), max_size=5)


@given(st.lists(NEAR | st.text(max_size=5), min_size=1, max_size=8))
@example(['a",', "b"])
@example([",", ","])
@example(["", ",", ""])
@example(['"', ',"', "\\"])
def test_texts_are_encoded_as_each_alone(texts):
    """Whatever they hold: quotes, commas and backslashes look like what stands between two of them."""
    assert _all_encoded(texts, b"<between>") == b"<between>".join(encode(text) for text in texts)
