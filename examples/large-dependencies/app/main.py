"""An API on NumPy, pandas, SciPy, scikit-learn and Arrow, which no zip archive of a function has room for."""

from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow as pa
from fastapi import FastAPI, Query, Response
from mangum import Mangum
from scipy import stats
from sklearn.linear_model import LinearRegression

app = FastAPI()
handler = Mangum(app, lifespan="off")

Values = Annotated[list[float], Query(min_length=2, max_length=1000)]


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/trend")
def trend(values: Values) -> dict[str, float]:
    """Fit a line through equidistant values, and return its slope, the next value, and the median."""
    x = np.arange(len(values)).reshape(-1, 1)
    model = LinearRegression().fit(x, values)
    return {
        "slope": float(model.coef_[0]),
        "next": float(model.predict([[len(values)]])[0]),
        "median": float(stats.quantile(values, 0.5)),
    }


@app.get("/table")
def table(values: Values) -> Response:
    """Return the values and their running mean as an Arrow stream."""
    frame = pd.DataFrame({"value": values, "mean": pd.Series(values).expanding().mean()})
    arrow = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return Response(sink.getvalue().to_pybytes(), media_type="application/vnd.apache.arrow.stream")
