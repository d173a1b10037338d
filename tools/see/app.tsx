// Draws a dashboard with Grafana's own libraries: variables, queries, transformations, units, mappings, overrides, and
// the charts of stat and timeseries. Tables, state timelines and heatmaps are drawn here, since Grafana does not publish
// theirs. The page sets window.SEE; pictures.py waits for window.SEE.report.
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import { Observable, of } from 'rxjs';
import * as data from '@grafana/data';
import { DataSourceApi, FieldType, LoadingState, PanelPlugin, ThemeContext, VizOrientation } from '@grafana/data';
import * as runtime from '@grafana/runtime';
import * as ui from '@grafana/ui';
import { BigValue, GlobalStyles, PortalContainer, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import {
  CustomVariable,
  DataSourceVariable,
  EmbeddedScene,
  QueryVariable,
  SceneControlsSpacer,
  SceneDataTransformer,
  SceneGridItem,
  SceneGridLayout,
  SceneGridRow,
  SceneQueryRunner,
  SceneTimePicker,
  SceneTimeRange,
  SceneVariableSet,
  VariableValueSelectors,
  VizPanel,
  sceneGraph,
} from '@grafana/scenes';

const SEE = (window as any).SEE as { prometheus: string; mode: 'light' | 'dark'; to: string; dashboard: any; report: any };
const report = (SEE.report = { queries: [] as any[], errors: [] as string[], pending: 0 });
window.addEventListener('error', (event) => report.errors.push(String(event.message)));
window.addEventListener('unhandledrejection', (event) => report.errors.push(String(event.reason?.stack ?? event.reason)));

// --- Prometheus as a data source ---

const DATA_SOURCE = { type: 'prometheus', uid: 'prom' };
const SECONDS_OF_DAY = 86400;

async function ask(path: string, parameters: Record<string, string>) {
  const answer = await fetch(`${SEE.prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  return answer.json();
}

function legend(format: string, labels: Record<string, string>) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '').trim();
}

function tableFrame(refId: string, valueName: string, rows: any[]) {
  const names = [...new Set<string>(rows.flatMap((row) => Object.keys(row.metric)))];
  const column = (name: string, type: FieldType, values: any[]) => ({ name, type, config: {}, values });
  const labels = names.map((name) => column(name, FieldType.string, rows.map((row) => row.metric[name] ?? '')));
  const times = column('Time', FieldType.time, rows.map((row) => row.value[0] * 1000));
  const values = column(valueName, FieldType.number, rows.map((row) => Number(row.value[1])));
  return { refId, length: rows.length, fields: [times, ...labels, values] };
}

function seriesFrame(target: any, row: any, step: number, legendFormat: string) {
  const points = row.values ?? [row.value];
  const name = legend(legendFormat, row.metric);
  const config = { displayNameFromDS: name };
  const times = { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: points.map((p: any) => p[0] * 1000) };
  const values = { name: 'Value', type: FieldType.number, labels: row.metric, config, values: points.map((p: any) => Number(p[1])) };
  return { refId: target.refId, name, length: points.length, fields: [times, values] };
}

class Prometheus extends DataSourceApi<any> {
  constructor() {
    super({ id: 1, ...DATA_SOURCE, name: 'Prometheus', access: 'proxy', readOnly: true, jsonData: {}, meta: META } as any);
  }

  private replaced(text: string, request: any) {
    const holder = request.scopedVars?.__sceneObject;
    const scene = holder?.value?.valueOf?.() ?? holder?.valueOf?.();
    const format = (value: any) => (Array.isArray(value) ? (value.length > 1 ? `(${value.join('|')})` : value[0]) : value);
    return scene ? sceneGraph.interpolate(scene, text, request.scopedVars, format) : text;
  }

  async query(request: any) {
    const [from, to] = [+request.range.from / 1000, +request.range.to / 1000];
    const step = Math.max(60, Math.round(request.intervalMs / 1000));
    const range = { start: String(Math.floor(from / step) * step), end: String(Math.floor(to / step) * step), step: String(step) };
    const frames: any[] = [];
    for (const target of request.targets) {
      const expr = this.replaced(target.expr, request)
        .replaceAll('$__interval', request.interval)
        .replaceAll('$__range', `${Math.round(to - from)}s`);
      const answer = target.instant
        ? await ask('query', { query: expr, time: String(to) })
        : await ask('query_range', { query: expr, ...range });
      if (answer.error) throw new Error(`${answer.error}: ${expr}`);
      const rows = answer.data.result;
      report.queries.push({ expr, results: rows.length });
      const valueName = request.targets.length > 1 ? `Value #${target.refId}` : 'Value';
      const format = this.replaced(target.legendFormat, request);
      frames.push(...(target.format === 'table' ? [tableFrame(target.refId, valueName, rows)] : rows.map((row: any) => seriesFrame(target, row, step, format))));
    }
    return { data: frames, state: LoadingState.Done };
  }

  async metricFindQuery(query: any, options: any) {
    const [, match, label] = /^label_values\((.*),\s*(\w+)\)$/s.exec(this.replaced(query.query ?? query, options ?? {}))!;
    const to = Number(SEE.to);
    const times = { start: String(to - 90 * SECONDS_OF_DAY), end: String(to) };
    const answer = await ask(`label/${label}/values`, { 'match[]': match, ...times });
    return (answer.data ?? []).map((value: string) => ({ text: value, value }));
  }

  async testDatasource() {
    return { status: 'success', message: '' };
  }
}

const META = { id: 'prometheus', name: 'Prometheus', type: 'datasource', module: '', baseUrl: '', info: { logos: { small: '', large: '' } } };
const prometheus = new Prometheus();
const settings = { id: 1, ...DATA_SOURCE, name: 'Prometheus', meta: META, jsonData: {}, isDefault: true } as any;

function runRequest(source: any, request: any) {
  return new Observable<any>((subscriber) => {
    const common = { timeRange: request.range, request, annotations: [] };
    report.pending += 1;
    source
      .query(request)
      .then((answer: any) => ({ state: LoadingState.Done, series: answer.data.map((frame: any) => data.toDataFrame(frame)) }))
      .catch((error: Error) => {
        report.errors.push(error.message);
        return { state: LoadingState.Error, series: [], errors: [{ message: error.message }] };
      })
      .then((result: any) => {
        subscriber.next({ ...result, ...common });
        subscriber.complete();
        report.pending -= 1;
      });
  });
}

// --- What Grafana's libraries expect of Grafana ---

const anyRuntime = runtime as any;
anyRuntime.setDataSourceSrv({
  get: async () => prometheus,
  getList: () => [settings],
  getInstanceSettings: () => settings,
  reload() {},
  registerRuntimeDataSource() {},
});
anyRuntime.setTemplateSrv({ getVariables: () => [], replace: (text: string) => text, containsTemplate: () => false, updateTimeRange() {} });
anyRuntime.setBackendSrv({ get: async () => ({}), fetch: () => of({ data: {} }) });
anyRuntime.setEchoSrv({ addEvent() {}, addBackend() {}, flush() {} });
anyRuntime.setAppEvents?.(new data.EventBusSrv());
anyRuntime.setPluginImportUtils({ importPanelPlugin: async (id: string) => plugins[id], getPanelPluginFromCache: (id: string) => plugins[id] });
anyRuntime.setPluginLinksHook?.(() => ({ isLoading: false, links: [] }));
anyRuntime.setPluginComponentsHook?.(() => ({ isLoading: false, components: [] }));
anyRuntime.setPluginFunctionsHook?.(() => ({ isLoading: false, functions: [] }));
anyRuntime.setRunRequest(runRequest);

const transformers = new Map(
  Object.values(data.standardTransformers as any)
    .filter(Boolean)
    .map((each: any) => [each.id, each])
);
data.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((each: any) => ({ id: each.id, name: each.name, transformation: async () => each, editor: () => null }) as any)
);
const option = (id: string) =>
  ({
    id,
    path: id,
    name: id,
    editor: () => null,
    override: () => null,
    process: (value: any) => value,
    shouldApply: () => true,
    settings: {},
    getItemsCount: () => 0,
  }) as any;
const STANDARD_OPTIONS = ['unit', 'decimals', 'min', 'max', 'noValue', 'mappings', 'thresholds', 'color', 'displayName', 'links', 'custom'];
const CUSTOM_OPTIONS = [
  'drawStyle', 'lineWidth', 'lineStyle', 'lineInterpolation', 'fillOpacity', 'showPoints', 'spanNulls', 'axisSoftMin', 'axisSoftMax',
  'stacking', 'align', 'filterable', 'cellOptions', 'hideFrom', 'scaleDistribution',
];
data.standardFieldConfigEditorRegistry.setInit(() => (ui as any).getStandardFieldConfigs?.() ?? STANDARD_OPTIONS.map(option));
data.standardEditorsRegistry.setInit(() => []);

// --- Panels ---

function Empty({ panel }: { panel: any }) {
  const theme = useTheme2();
  const text = panel.fieldConfig.defaults.noValue ?? 'No data';
  return <div style={{ color: theme.colors.text.secondary, padding: 16, textAlign: 'center' }}>{text}</div>;
}

function Stat(panel: any) {
  const theme = useTheme2();
  if (!panel.data.series.length) return <Empty panel={panel} />;
  const getValues = () =>
    data.getFieldDisplayValues({
      data: panel.data.series,
      fieldConfig: panel.fieldConfig,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: panel.replaceVariables,
      theme,
      timeZone: 'utc',
    } as any);
  const render = ({ value, width, height }: any) => (
    <BigValue
      value={value.display}
      width={width}
      height={height}
      theme={theme}
      colorMode={panel.options.colorMode}
      graphMode={panel.options.graphMode}
      textMode={panel.options.textMode}
      justifyMode={panel.options.justifyMode}
      count={panel.data.series.length}
      disableWideLayout={!panel.options.wideLayout}
    />
  );
  return (
    <VizRepeater
      getValues={getValues}
      width={panel.width}
      height={panel.height}
      source={panel.data}
      orientation={VizOrientation.Auto}
      renderValue={render}
    />
  );
}

function Curve(panel: any) {
  if (!panel.data.series.length) return <Empty panel={panel} />;
  return (
    <TimeSeries
      frames={panel.data.series}
      timeRange={panel.timeRange}
      timeZone="utc"
      width={panel.width}
      height={panel.height}
      legend={panel.options.legend}
      options={panel.options}
      replaceVariables={(text: string) => text}
      dataLinkPostProcessor={undefined}
    >
      {() => null}
    </TimeSeries>
  );
}

function text(field: any, value: any) {
  const empty = value === null || value === undefined || value === '';
  if (empty) return field.config.noValue ?? '';
  return field.display ? data.formattedValueToString(field.display(value)) : String(value);
}

function Table(panel: any) {
  const theme = useTheme2();
  const frame = panel.data.series[0];
  if (!frame?.length) return <Empty panel={panel} />;
  const cell = (field: any, row: number) => {
    const value = field.values[row];
    const color = field.display && value !== null && value !== undefined ? field.display(value).color : undefined;
    const isColored = field.config.custom?.cellOptions?.type === 'color-text';
    const isFilled = field.config.custom?.cellOptions?.type === 'color-background' && value;
    const style: React.CSSProperties = { borderTop: `1px solid ${theme.colors.border.weak}`, padding: '5px 8px', whiteSpace: 'nowrap' };
    if (field.type === FieldType.number) style.textAlign = 'right';
    if (isFilled && color !== 'transparent') Object.assign(style, { background: color, color: theme.colors.getContrastText(color!) });
    if (isColored) Object.assign(style, { color });
    if (field.config.links?.length) Object.assign(style, { color: theme.colors.text.link });
    return <td key={field.name} style={style}>{text(field, value)}</td>;
  };
  const titles = frame.fields.map((field: any) => (
    <th key={field.name} style={{ padding: '5px 8px', textAlign: field.type === FieldType.number ? 'right' : 'left', fontWeight: 500, whiteSpace: 'nowrap' }}>
      {data.getFieldDisplayName(field, frame)}
    </th>
  ));
  const rows = Array.from({ length: frame.length }, (_, row) => <tr key={row}>{frame.fields.map((field: any) => cell(field, row))}</tr>);
  return (
    <div style={{ width: panel.width, height: panel.height, overflow: 'hidden' }}>
      <table style={{ width: '100%', fontSize: 13, borderCollapse: 'collapse' }}>
        <thead><tr>{titles}</tr></thead>
        <tbody>{rows}</tbody>
      </table>
    </div>
  );
}

/** The dates below a chart, a week apart. */
function Dates({ from, to, left, width, y }: { from: number; to: number; left: number; width: number; y: number }) {
  const theme = useTheme2();
  const week = 7 * SECONDS_OF_DAY * 1000;
  const times = Array.from({ length: Math.floor((to - from) / week) + 1 }, (_, index) => to - index * week);
  return (
    <>
      {times.map((time) => (
        <text
          key={time}
          x={left + ((time - from) / (to - from)) * width}
          y={y}
          fill={theme.colors.text.secondary}
          fontSize={11}
          textAnchor={time === to ? 'end' : 'middle'}
        >
          {new Date(time).toISOString().slice(5, 10)}
        </text>
      ))}
    </>
  );
}

function States(panel: any) {
  const theme = useTheme2();
  const frames = panel.data.series.slice(0, panel.options.perPage);
  if (!frames.length) return <Empty panel={panel} />;
  const [from, to] = [+panel.timeRange.from, +panel.timeRange.to];
  const [left, bottom] = [380, 18];
  const width = panel.width - left - 8;
  const height = (panel.height - bottom) / frames.length;
  const x = (time: number) => left + (Math.max(0, time - from) / (to - from)) * width;
  const row = (frame: any, index: number) => {
    const [times, values] = frame.fields;
    const changes = times.values.map((_: any, i: number) => i).filter((i: number) => i === 0 || values.values[i] !== values.values[i - 1]);
    const last = times.values[times.values.length - 1] + SECONDS_OF_DAY * 1000;
    const name = data.getFieldDisplayName(values, frame, frames);
    const middle = index * height + height / 2 + 4;
    return (
      <g key={index}>
        <text x={left - 8} y={middle} fill={theme.colors.text.primary} fontSize={12} textAnchor="end">{name}</text>
        {changes.map((i: number, position: number) => {
          const display = values.display(values.values[i]);
          const [start, end] = [x(times.values[i]), x(Math.min(to, times.values[changes[position + 1]] ?? last))];
          const label = data.formattedValueToString(display);
          return (
            <g key={i}>
              <rect x={start} y={index * height + 2} width={Math.max(1, end - start)} height={height - 4} fill={display.color} fillOpacity={panel.fieldConfig.defaults.custom.fillOpacity / 100} />
              {end - start > 8 * label.length && <text x={start + 4} y={middle} fill={theme.colors.text.primary} fontSize={11}>{label}</text>}
            </g>
          );
        })}
      </g>
    );
  };
  return (
    <svg width={panel.width} height={panel.height}>
      {frames.map(row)}
      <Dates from={from} to={to} left={left} width={width} y={panel.height - 4} />
    </svg>
  );
}

/** Cumulative buckets as cells: how many events are in a bucket and not in the one before. */
function Heatmap(panel: any) {
  const theme = useTheme2();
  const bound = (frame: any) => (frame.name === '+Inf' ? Infinity : Number(frame.name));
  const frames = [...panel.data.series].sort((a, b) => bound(a) - bound(b));
  if (!frames.length) return <Empty panel={panel} />;
  const [from, to] = [+panel.timeRange.from, +panel.timeRange.to];
  const day = SECONDS_OF_DAY * 1000;
  const [left, bottom] = [70, 18];
  const [width, height] = [panel.width - left - 8, (panel.height - bottom) / frames.length];
  const valuesAt = frames.map((frame) => new Map<number, number>(frame.fields[0].values.map((time: number, i: number) => [time, frame.fields[1].values[i]])));
  const cells = frames.flatMap((_, row) =>
    [...valuesAt[row]].map(([time, value]) => ({ row, time, count: value - (valuesAt[row - 1]?.get(time) ?? 0) })).filter((cell) => cell.count > 0)
  );
  const most = Math.max(1, ...cells.map((cell) => cell.count));
  const seconds = data.getValueFormat(panel.options.yAxis.unit);
  return (
    <svg width={panel.width} height={panel.height}>
      {frames.map((frame, row) => (
        <text key={row} x={left - 8} y={panel.height - bottom - row * height - 2} fill={theme.colors.text.secondary} fontSize={10} textAnchor="end">
          {bound(frame) === Infinity ? '+Inf' : data.formattedValueToString(seconds(bound(frame)))}
        </text>
      ))}
      {cells.map(({ row, time, count }) => (
        <rect
          key={`${row} ${time}`}
          x={left + ((time - day - from) / (to - from)) * width}
          y={panel.height - bottom - (row + 1) * height + 1}
          width={Math.max(2, (day / (to - from)) * width - 1)}
          height={height - 1}
          fill={theme.visualization.getColorByName('dark-orange')}
          fillOpacity={0.25 + (0.75 * count) / most}
        />
      ))}
      <Dates from={from} to={to} left={left} width={width} y={panel.height - 4} />
    </svg>
  );
}

function plugin(id: string, component: any) {
  const made = new PanelPlugin(component) as any;
  made.meta = { id, name: id, info: { logos: { small: '', large: '' } }, module: '', baseUrl: '' };
  made.useFieldConfig({
    disableStandardOptions: [],
    useCustomConfig: (builder: any) => CUSTOM_OPTIONS.forEach((name) => builder.addCustomEditor(option(name))),
  });
  return made;
}

const plugins: Record<string, any> = Object.fromEntries(
  Object.entries({ stat: Stat, timeseries: Curve, table: Table, 'state-timeline': States, heatmap: Heatmap }).map(([id, component]) => [id, plugin(id, component)])
);

// --- The dashboard ---

function variable(model: any) {
  const { name, label } = model;
  if (model.type === 'datasource') return new DataSourceVariable({ name, label, pluginId: model.query, value: 'prom', text: 'Prometheus' });
  const { value, text } = model.current;
  if (model.type === 'custom') return new CustomVariable({ name, label, query: model.query, value, text });
  const { query, includeAll, allValue, refresh } = model;
  return new QueryVariable({ name, label, query, datasource: DATA_SOURCE, isMulti: model.multi, includeAll, allValue, value, text, refresh });
}

function gridItem(panel: any) {
  const { x, y, w: width, h: height } = panel.gridPos;
  if (panel.type === 'row') return new SceneGridRow({ x, y, title: panel.title, isCollapsed: false, children: [] });
  const queries = panel.targets.map((target: any) => ({ ...target, datasource: DATA_SOURCE }));
  const runner = new SceneQueryRunner({ datasource: DATA_SOURCE, queries, minInterval: panel.interval, maxDataPoints: 800 });
  const body = new VizPanel({
    key: `panel-${panel.id}`,
    pluginId: panel.type,
    title: panel.title,
    options: panel.options,
    fieldConfig: panel.fieldConfig,
    $data: new SceneDataTransformer({ $data: runner, transformations: panel.transformations ?? [] }),
  });
  return new SceneGridItem({ x, y, width, height, body });
}

const { dashboard } = SEE;
const to = Number(SEE.to);
const scene = new EmbeddedScene({
  $timeRange: new SceneTimeRange({
    from: new Date((to - 90 * SECONDS_OF_DAY) * 1000).toISOString(),
    to: new Date(to * 1000).toISOString(),
    timeZone: 'utc',
  }),
  $variables: new SceneVariableSet({ variables: dashboard.templating.list.map(variable) }),
  controls: [new VariableValueSelectors({}), new SceneControlsSpacer()],
  body: new SceneGridLayout({ children: dashboard.panels.map(gridItem) }),
});

class Boundary extends React.Component<{ children: React.ReactNode }, { error?: unknown }> {
  state: { error?: unknown } = {};
  static getDerivedStateFromError(error: unknown) {
    return { error };
  }
  componentDidCatch(error: any) {
    report.errors.push(String(error?.stack ?? error));
  }
  render() {
    return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children;
  }
}

const theme = data.createTheme({ colors: { mode: SEE.mode } });
createRoot(document.getElementById('root')!).render(
  <Boundary>
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <MemoryRouter>
        <div id="dashboard" style={{ background: theme.colors.background.canvas, padding: 16 }}>
          <h3 style={{ margin: '0 0 8px' }}>{dashboard.title}</h3>
          <scene.Component model={scene} />
        </div>
      </MemoryRouter>
      <PortalContainer />
    </ThemeContext.Provider>
  </Boundary>
);
