// Types of a dashboard as it is in a file. TypeScript's own take the members of enums where JSON has their texts.
import type { Dashboard as Model, Panel as PanelModel } from '@grafana/schema';
import type * as Heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as States from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as Curve from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** The schema with each enum replaced by its text. */
type Wire<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Wire<Item>[]
      : T extends object
        ? { [Key in keyof T]: Wire<T[Key]> }
        : T;

type Annotations = NonNullable<Model['annotations']>;
type Annotation = Omit<NonNullable<Annotations['list']>[number], 'target'> & OfPrometheus;

/** What the data source Prometheus adds to an annotation. */
type OfPrometheus = {
  target: { refId: string; expr: string; interval: string };
  titleFormat: string;
  textFormat: string;
  useValueForTime?: 'on';
};

/** `Omit` would lose the index signature of a union; panels are checked one by one. */
export type Dashboard = Wire<Omit<Model, 'annotations' | 'panels'>> & { annotations: { list: Wire<Annotation>[] } };

type OfKind<Kind extends string, Options, Custom> = Wire<Omit<PanelModel, 'type' | 'options' | 'fieldConfig'>> & {
  type: Kind;
  options: Wire<Options>;
  fieldConfig: Wire<Omit<PanelModel['fieldConfig'] & object, 'defaults'>> & {
    defaults: Wire<Omit<(PanelModel['fieldConfig'] & object)['defaults'], 'custom'>> & { custom: Wire<Custom> };
  };
};

export type Panel =
  | OfKind<'stat', Stat.Options, {}>
  | OfKind<'timeseries', Curve.Options, Curve.FieldConfig>
  | OfKind<'table', Table.Options, Table.FieldConfig>
  | OfKind<'state-timeline', States.Options, States.FieldConfig>
  | OfKind<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
  | { type: 'row'; id: number; title: string; collapsed: boolean; gridPos: unknown; panels: [] };
