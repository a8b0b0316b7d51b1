"""NASA POWER's stand-in: the daily point service, shaped as its recorded answers.

Content faults: all_fill, fill_tail (days), nulls (days), days_missing (days), changed_parameter,
changed_fill, negative_rain (amount, days), kelvin, elsewhere, utc,
bare (only what an answer recorded in 2025 holds).
"""

from __future__ import annotations

import common
import country
import numpy as np

PARAMETERS = {
    "T2M_MAX": ("C", "Temperature at 2 Meters Maximum", country.tmax_degC),
    "T2M_MIN": ("C", "Temperature at 2 Meters Minimum", country.tmin_degC),
    "PRECTOTCORR": ("mm/day", "Precipitation Corrected", country.rain_mm),
    "T2MDEW": ("C", "Dew/Frost Point at 2 Meters", country.dewpoint_degC),
    "ALLSKY_SFC_SW_DWN": ("MJ/m^2/day", "All Sky Surface Shortwave Downward", country.radiation_MJ_m2),
    "WS2M": ("m/s", "Wind Speed at 2 Meters", country.wind_m_s),
}
FILL = -999.0


def refusal(*messages) -> common.Reply:
    header = "The POWER Daily API failed to complete your request; please review the errors below."
    return common.as_json({"header": header, "messages": list(messages)}, 422)


def day_of(text):
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}")


class Power(common.World):
    def answer(self, request: common.Request) -> common.Reply:
        if request.path != "/api/temporal/daily/point":
            return common.as_json({"detail": "Not Found"}, 404)
        asked = {name: values[0] for name, values in request.query.items()}
        names = asked.get("parameters", "").split(",")
        if len(names) > 20:
            return refusal("You have exceeded the maximum of 20 parameters for this request.")
        unknown = [n for n in names if n not in PARAMETERS]
        if unknown:
            return refusal(*[f"One of your parameters is incorrect: {n}." for n in unknown])
        if asked.get("community") != "AG" or asked.get("format") != "JSON":
            return refusal("Please provide a valid community and format.")
        if asked["start"] > asked["end"] or asked["start"] < "19810101":
            return refusal("The start date must be before the end date and not before 1981-01-01.")
        lat, lon = float(asked["latitude"]), float(asked["longitude"])
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            return refusal("Please provide valid coordinates.")
        standard = asked.get("time-standard", "LST")
        answer = self.whole(names, lat, lon, asked["start"], asked["end"], standard)
        return common.as_json(spoiled(answer, request.fault))

    def whole(self, names, lat, lon, start, end, standard):
        days = np.arange(day_of(start), day_of(end) + 1)
        keys = [str(day).replace("-", "") for day in days]
        values = {n: np.round(PARAMETERS[n][2]([lat], [lon], days).ravel(), 2).tolist() for n in names}
        return {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [lon, lat, 360.72]},
            "properties": {"parameter": {n: dict(zip(keys, values[n], strict=True)) for n in names}},
            "header": {
                "title": "NASA/POWER Source Native Resolution Daily Data",
                "api": {"version": "v2.9.2", "name": "POWER Daily API"},
                "sources": ["MERRA2", "POWER"],
                "fill_value": FILL,
                "time_standard": standard,
                "start": start,
                "end": end,
            },
            "messages": [],
            "parameters": {n: {"units": PARAMETERS[n][0], "longname": PARAMETERS[n][1]} for n in names},
            "times": {"data": 1.404, "process": 0.03},
        }


def spoiled(answer, fault):
    kind, columns = (fault or {}).get("kind"), answer["properties"]["parameter"]
    days = list(next(iter(columns.values())))
    if kind in ("all_fill", "fill_tail"):
        for column in columns.values():
            column.update(dict.fromkeys(days if kind == "all_fill" else days[-fault["days"] :], FILL))
    if kind == "nulls":
        columns["T2M_MIN"].update(dict.fromkeys(fault["days"]))
    if kind == "days_missing":
        for column in columns.values():
            for day in fault["days"]:
                del column[day]
    if kind == "changed_parameter":
        columns["PRECTOT"] = columns.pop("PRECTOTCORR")
    if kind == "negative_rain":
        columns["PRECTOTCORR"].update(dict.fromkeys(fault["days"], fault["amount"]))
    if kind == "changed_fill":  # the values' fill is not the header's
        columns["T2M_MAX"][days[3]] = -9999.0
    if kind == "kelvin":
        answer["parameters"]["T2M_MAX"]["units"] = "K"
    if kind == "elsewhere":
        answer["geometry"]["coordinates"][0] += 0.625
    if kind == "utc":
        answer["header"]["time_standard"] = "UTC"
    if kind == "bare":
        for name in ("messages", "parameters", "times"):
            del answer[name]
        del answer["header"]["time_standard"]
    return answer


if __name__ == "__main__":
    common.main(Power())
