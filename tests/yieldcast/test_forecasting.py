import datetime as dt, time
from yieldcast.forecasting import forecast
def test_x(forecast_run, forecast_store):
    assert forecast_run.seeds() == [1, 2, 3, 4, 5, 6]
    for d in (dt.date(2014,10,10), dt.date(2015,3,1), dt.date(2015,7,1)):
        t=time.time()
        f=forecast(forecast_run, forecast_store, 2015, d)
        print(d, time.time()-t)
    print(f); print(f.attrs)
