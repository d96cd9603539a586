// One dashboard, drawn with Grafana's components from what Prometheus answered its queries.
// `window.CAPTURED` is a file that `make live ARGS="--capture FOLDER"` wrote.
import {
  applyFieldOverrides, createTheme, dateTime, type DataFrame, FieldType, getFieldDisplayName, type Labels,
  standardFieldConfigEditorRegistry, ThemeContext, toDataFrame,
} from "@grafana/data";
import { BigValue, BigValueColorMode, BigValueGraphMode, GlobalStyles, LegendDisplayMode, PanelChrome, TimeSeries } from "@grafana/ui";
import { Component, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";

type Series = { metric: Labels; values?: [number, string][]; value?: [number, string] };
type Target = { refId: string; expr: string; legendFormat: string; format?: string };
type Panel = {
  id: number; type: string; title: string; description?: string; targets: Target[];
  gridPos: { x: number; y: number; w: number; h: number }; fieldConfig: any;
};
type Captured = {
  dashboard: { title: string; panels: Panel[] };
  from: number; to: number; answers: Record<string, Record<string, Series[]>>;
};

const WIDTH = 1280, ROW = 26, GAP = 6;
const theme = createTheme({ colors: { mode: "light" } });
const captured: Captured = (window as any).CAPTURED;
const range = { from: dateTime(captured.from * 1000), to: dateTime(captured.to * 1000) };
const timeRange = { ...range, raw: range };

// What Grafana registers for every panel; without these the units, colours and names of a panel are ignored.
standardFieldConfigEditorRegistry.setInit(() =>
  ["unit", "min", "max", "decimals", "displayName", "color", "mappings", "thresholds", "noValue", "links"].map((id) => ({
    id, path: id, name: id, description: "", editor: () => null, override: () => null,
    process: (value: unknown) => value, shouldApply: () => true,
  })) as any);

/** The name of a series: `{{label}}` of the legend filled in; without one, its labels. */
function named(target: Target, labels: Labels): string {
  if (target.legendFormat && target.legendFormat !== "__auto") {
    return target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
  }
  return Object.entries(labels).filter(([name]) => name !== "__name__").map(([, value]) => value).join(" ") || "value";
}

/** Prometheus writes +Inf and NaN as text; neither is a place on a graph. */
function number(text: string): number | null {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

/** One frame for each series; where nothing was told for a while, the line has a hole. */
function framesOf(panel: Panel): DataFrame[] {
  const step = Math.max(1, (captured.to - captured.from) / 240) * 1000;
  return panel.targets.flatMap((target) =>
    (captured.answers[panel.id][target.refId] ?? []).map((series) => {
      const times: number[] = [], values: (number | null)[] = [];
      for (const [at, text] of series.values ?? []) {
        const ms = at * 1000, last = times.at(-1);
        if (last !== undefined && ms - last > 1.5 * step) { times.push(last + step); values.push(null); }
        times.push(ms); values.push(number(text));
      }
      return toDataFrame({
        refId: target.refId,
        fields: [
          { name: "Time", type: FieldType.time, values: times },
          { name: "Value", type: FieldType.number, values, labels: series.metric, config: { displayNameFromDS: named(target, series.metric) } },
        ],
      });
    }));
}

function withConfig(panel: Panel, frames: DataFrame[]): DataFrame[] {
  const { custom, ...defaults } = panel.fieldConfig.defaults;
  const color = panel.type === "stat" ? { mode: "thresholds" } : { mode: "palette-classic" };
  const made = applyFieldOverrides({
    data: frames, fieldConfig: { defaults: { color, ...defaults }, overrides: [] }, theme, timeZone: "utc",
    replaceVariables: (text: string) => text, fieldConfigRegistry: standardFieldConfigEditorRegistry as any,
  });
  for (const frame of made) {
    for (const field of frame.fields) {
      if (field.type === FieldType.number) {
        field.config.custom = { drawStyle: "line", lineWidth: 1, spanNulls: false, ...custom };
        field.state = { ...field.state, displayName: getFieldDisplayName(field, frame, made) };
      }
    }
  }
  return made;
}

type Size = { width: number; height: number };
const Nothing = ({ height }: Size) => <div style={{ height, display: "grid", placeItems: "center", color: theme.colors.text.secondary }}>No data</div>;

function Graph({ panel, ...size }: Size & { panel: Panel }) {
  const frames = withConfig(panel, framesOf(panel));
  if (!frames.length) { return <Nothing {...size} />; }
  const legend = { displayMode: LegendDisplayMode.List, placement: "bottom" as const, showLegend: true, calcs: [] };
  return <TimeSeries frames={frames} timeRange={timeRange} timeZone="utc" legend={legend} {...size} />;
}

function Stat({ panel, width, height }: Size & { panel: Panel }) {
  const frames = withConfig(panel, framesOf(panel));
  if (!frames.length) { return <Nothing width={width} height={height} />; }
  return (
    <div style={{ display: "flex" }}>
      {frames.map((frame, place) => {
        const field = frame.fields[1];
        const last = field.values.findLast((each: number | null) => each !== null) ?? null;
        const value = { ...field.display!(last), title: frames.length > 1 ? field.state?.displayName ?? "" : "" };
        return (
          <BigValue key={place} value={value} width={width / frames.length} height={height} theme={theme}
            colorMode={BigValueColorMode.Background} graphMode={BigValueGraphMode.None} />
        );
      })}
    </div>
  );
}

/** Grafana's published table does not come up outside of Grafana; this shows its rows, formatted by its fields. */
function Rows({ panel, ...size }: Size & { panel: Panel }) {
  const series = panel.targets.flatMap((target) => captured.answers[panel.id][target.refId] ?? []);
  if (!series.length) { return <Nothing {...size} />; }
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))]
    .filter((name) => !["__name__", "job", "instance", "worker"].includes(name));
  const text = (name: string) => ({ name, type: FieldType.string, values: series.map(({ metric }) => metric[name] ?? "") });
  const value = { name: "Value", type: FieldType.number, values: series.map((each) => number(each.value?.[1] ?? "")) };
  const [frame] = withConfig(panel, [toDataFrame({ fields: [...names.map(text), value] })]);
  const cell = { padding: "3px 8px", textAlign: "left" as const, borderBottom: `1px solid ${theme.colors.border.weak}` };
  const shown = (field: DataFrame["fields"][number], row: number) => {
    if (field.type === FieldType.string) { return field.values[row]; }
    const { text, suffix } = field.display!(field.values[row]);
    return `${text}${suffix ?? ""}`;
  };
  return (
    <table style={{ width: size.width, fontSize: 12, borderCollapse: "collapse" }}>
      <thead><tr>{frame.fields.map(({ name }) => <th key={name} style={{ ...cell, color: theme.colors.text.secondary }}>{name}</th>)}</tr></thead>
      <tbody>{series.map((_, row) => <tr key={row}>{frame.fields.map((field) => <td key={field.name} style={cell}>{shown(field, row)}</td>)}</tr>)}</tbody>
    </table>
  );
}

/** Names on the left, times below, and between them whatever is drawn in `cells`, the first line at the bottom. */
function Lines({ names, times, left, width, height, children }: Size & {
  names: string[]; times: number[]; left: number; children: (x: (at: number) => number, y: (line: number) => number, h: number) => ReactNode;
}) {
  const bottom = 18, h = (height - bottom) / names.length, from = times[0], to = times.at(-1)!;
  const x = (at: number) => left + ((at - from) / Math.max(1, to - from)) * (width - left);
  const y = (line: number) => height - bottom - (line + 1) * h;
  const every = Math.ceil(12 / h);
  const label = (time: number) => new Date(time * 1000).toISOString().slice(11, 16);
  return (
    <svg width={width} height={height} fontSize={10} fill={theme.colors.text.secondary}>
      {children(x, y, h)}
      {names.map((name, line) => line % every === 0 && <text key={line} x={left - 6} y={y(line) + h / 2 + 4} textAnchor="end">{name}</text>)}
      {times.filter((_, place) => place % Math.ceil(times.length / 6) === 0).map((time) => <text key={time} x={x(time)} y={height - 4}>{label(time)}</text>)}
    </svg>
  );
}

const timesOf = (series: Series[]) =>
  [...new Set(series.flatMap((each) => (each.values ?? []).map(([time]) => time)))].sort((one, other) => one - other);

/** Grafana's heat map is not among its published components; this draws the same numbers: a cell for each bucket, or for each series. */
function HeatMap({ panel, width, height }: Size & { panel: Panel }) {
  const isOfBuckets = panel.targets.every(({ format }) => format === "heatmap");
  const edge = (series: Series) => Number(series.metric.le.replace("+Inf", "Infinity"));
  const all = panel.targets.flatMap((target) =>
    (captured.answers[panel.id][target.refId] ?? []).map((series) => ({ series, name: isOfBuckets ? `${series.metric.le} s` : named(target, series.metric) })))
    .sort((one, other) => (isOfBuckets ? edge(one.series) - edge(other.series) : other.name.localeCompare(one.name)));
  if (!all.length) { return <Nothing width={width} height={height} />; }
  const columns = all.map(({ series }) => new Map((series.values ?? []).map(([time, text]) => [time, number(text) ?? 0])));
  const times = timesOf(all.map(({ series }) => series));
  const value = (line: number, time: number) =>
    (columns[line].get(time) ?? 0) - (isOfBuckets && line ? columns[line - 1].get(time) ?? 0 : 0);
  const most = Math.max(isOfBuckets ? 1 : 0.001, ...all.flatMap((_, line) => times.map((time) => value(line, time))));
  const left = isOfBuckets ? 56 : 220, w = (width - left) / times.length;
  return (
    <Lines names={all.map(({ name }) => name)} times={times} left={left} width={width} height={height}>
      {(x, y, h) => all.flatMap((_, line) => times.map((time) => value(line, time) > 0 && (
        <rect key={`${time}.${line}`} x={x(time)} y={y(line)} width={w + 0.5} height={h - 1}
          fill={theme.visualization.getColorByName("dark-orange")} opacity={0.15 + 0.85 * Math.sqrt(value(line, time) / most)} />
      )))}
    </Lines>
  );
}

/** Nor is the state timeline: a line for each series, in the colours and words of the panel's mapping. */
function StateTimeline({ panel, width, height }: Size & { panel: Panel }) {
  const states: Record<string, { text: string; color: string }> = panel.fieldConfig.defaults.mappings[0].options;
  const all = panel.targets.flatMap((target) =>
    (captured.answers[panel.id][target.refId] ?? []).map((series) => ({ series, name: named(target, series.metric) })))
    .sort((one, other) => other.name.localeCompare(one.name));
  if (!all.length) { return <Nothing width={width} height={height} />; }
  const times = timesOf(all.map(({ series }) => series)), legend = 18, left = 220, w = (width - left) / times.length;
  const colour = (value: string) => theme.visualization.getColorByName(states[value]?.color ?? "gray");
  const seen = new Set(all.flatMap(({ series }) => (series.values ?? []).map(([, text]) => text)));
  return (
    <div>
      <Lines names={all.map(({ name }) => name)} times={times} left={left} width={width} height={height - legend}>
        {(x, y, h) => all.flatMap(({ series }, line) => (series.values ?? []).map(([time, text]) => (
          <rect key={`${time}.${line}`} x={x(time)} y={y(line) + 1} width={w + 0.5} height={h - 2} fill={colour(text)} opacity={0.8} />
        )))}
      </Lines>
      <div style={{ height: legend, fontSize: 11, display: "flex", gap: 12, paddingLeft: left }}>
        {Object.entries(states).filter(([value]) => seen.has(value)).map(([value, { text }]) => <span key={value} style={{ color: colour(value) }}>■ {text}</span>)}
      </div>
    </div>
  );
}

/** A panel that cannot be drawn says so and leaves the others alone. */
class Guard extends Component<{ children: ReactNode }, { failed?: Error }> {
  state: { failed?: Error } = {};
  static getDerivedStateFromError(failed: Error) { return { failed }; }
  render() { return this.state.failed ? <pre style={{ color: "red", fontSize: 9 }}>{String(this.state.failed.stack)}</pre> : this.props.children; }
}

const SHAPES: Record<string, (props: Size & { panel: Panel }) => React.JSX.Element> = { timeseries: Graph, stat: Stat, table: Rows, heatmap: HeatMap, "state-timeline": StateTimeline };

function Dashboard() {
  const cell = WIDTH / 24;
  const bottom = Math.max(...captured.dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="dashboard" style={{ position: "relative", width: WIDTH, height: bottom * ROW + 50, background: theme.colors.background.canvas }}>
        <h1 style={{ margin: 0, padding: "10px 12px", fontSize: 20 }}>{captured.dashboard.title}</h1>
        {captured.dashboard.panels.map((panel) => {
          const { x, y, w, h } = panel.gridPos;
          const place = { position: "absolute" as const, left: x * cell + GAP / 2, top: 46 + y * ROW };
          if (panel.type === "row") { return <h2 key={panel.id} style={{ ...place, margin: 0, fontSize: 15, paddingLeft: 8 }}>{panel.title.replace(/\$\w+/, "all")}</h2>; }
          const Shape = SHAPES[panel.type];
          return (
            <div key={panel.id} style={place}>
              <PanelChrome title={panel.title} description={panel.description} width={w * cell - GAP} height={h * ROW - GAP}>
                {(width, height) => <Guard><Shape panel={panel} width={width} height={height} /></Guard>}
              </PanelChrome>
            </div>
          );
        })}
      </div>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById("root")!).render(<Dashboard />);
