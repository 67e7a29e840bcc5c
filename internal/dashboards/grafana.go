package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// schemaVersion is that of Grafana 10.4 and later; a newer Grafana migrates it when it loads the dashboard.
const schemaVersion = 39

// columns is the width of Grafana's grid.
const columns = 24

// object is a JSON object. Its keys are written in the order of the alphabet.
type object = map[string]any

// source is the data source that the reader has chosen.
var source = object{"type": "prometheus", "uid": "${datasource}"}

func (b board) uid() string { return "kilter-" + b.name }

// json renders the dashboard as Grafana exports one.
func (b board) json() []byte {
	variables := []any{object{
		"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
		"current": object{}, "options": []any{}, "regex": "", "refresh": 1, "hide": 0, "multi": false, "includeAll": false, "skipUrlSync": false,
	}}
	for _, v := range b.variables {
		variables = append(variables, v.json())
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(object{
		"uid": b.uid(), "title": "Kilter / " + b.title, "description": b.description, "tags": []string{"kilter"},
		"schemaVersion": schemaVersion, "version": 1, "id": nil, "editable": true, "graphTooltip": 1, "fiscalYearStartMonth": 0, "weekStart": "",
		"time": object{"from": "now-6h", "to": "now"}, "timepicker": object{}, "timezone": "browser", "refresh": "30s", "liveNow": false,
		"annotations": object{"list": []any{}},
		"templating":  object{"list": variables},
		"links": []any{
			object{
				"type": "dashboards", "title": "Kilter", "tags": []string{"kilter"}, "asDropdown": true, "icon": "external link", "tooltip": "", "url": "",
				"includeVars": true, "keepTime": true, "targetBlank": false,
			},
			object{
				"type": "link", "title": "Alerts", "tags": []string{}, "asDropdown": false, "icon": "doc", "tooltip": "What each alert means",
				"url": documents + "alerts.md", "includeVars": false, "keepTime": false, "targetBlank": true,
			},
		},
		"panels": b.panels(),
	}); err != nil {
		panic(err) // only a value that JSON does not know, such as a func
	}
	return text.Bytes()
}

func (v variable) json() object {
	query := fmt.Sprintf("label_values(%s, %s)", v.series, v.of)
	all := object{
		"type": "query", "name": v.name, "label": v.label, "datasource": source, "definition": query,
		"query":   object{"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
		"refresh": 2, "sort": 1, "regex": "", "hide": 0, "options": []any{}, "current": object{}, "skipUrlSync": false,
		"multi": v.many, "includeAll": v.many,
	}
	if v.many {
		all["allValue"] = ".*"
		all["current"] = object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}}
	}
	return all
}

// panels lays the rows out from left to right and from top to bottom. All panels of a line have one height.
func (b board) panels() []object {
	var all []object
	id, y := 0, 0
	for _, r := range b.rows {
		id++
		all = append(all, object{
			"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{}, "gridPos": object{"x": 0, "y": y, "w": columns, "h": 1},
		})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			if x+p.width > columns {
				x, y, height = 0, y+height, 0
			}
			id++
			panel := p.json()
			panel["id"], panel["gridPos"] = id, object{"x": x, "y": y, "w": p.width, "h": p.height}
			all = append(all, panel)
			x, height = x+p.width, max(height, p.height)
		}
		y += height
	}
	return all
}

func (p panel) json() object {
	var targets, links []object
	for i, q := range p.queries {
		format := "time_series"
		if p.kind == table {
			format = "table"
		}
		instant := p.kind == stat || p.kind == table
		targets = append(targets, object{
			"refId": refID(i), "datasource": source, "editorMode": "code", "expr": q.expr, "legendFormat": q.legend,
			"format": format, "instant": instant, "range": !instant,
		})
	}
	for _, alert := range p.runbooks {
		links = append(links, object{"title": "Runbook of " + alert, "url": documents + "runbooks/" + alert + ".md", "targetBlank": true})
	}
	return object{
		"type": p.kind, "title": p.title, "description": p.description, "datasource": source, "transparent": false,
		"targets": targets, "links": append([]object{}, links...), "options": p.options(), "transformations": p.transformations(),
		"fieldConfig": object{"defaults": p.defaults(), "overrides": p.overrides()},
	}
}

// refID names a query as Grafana does: A, B and so on.
func refID(i int) string { return string(rune('A' + i)) }

// defaults are the settings of every field of the panel.
func (p panel) defaults() object {
	steps := []object{{"color": "green", "value": nil}}
	if p.bad > 0 {
		steps = append(steps, object{"color": "red", "value": p.bad})
	}
	d := object{
		"unit": p.unit, "mappings": mappings(p.words), "color": object{"mode": "thresholds"},
		"thresholds": object{"mode": "absolute", "steps": steps}, "custom": object{},
	}
	if p.kind == timeSeries {
		stacking := "none"
		if p.stacked {
			stacking = "normal"
		}
		d["min"], d["color"] = 0, object{"mode": "palette-classic"}
		d["custom"] = object{
			"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false,
			"stacking": object{"mode": stacking, "group": "A"}, "thresholdsStyle": object{"mode": "off"}, "axisPlacement": "auto",
		}
	}
	if p.kind == stateTimeline {
		d["custom"] = object{"fillOpacity": 70, "lineWidth": 0}
	}
	return d
}

// mappings show numbers as words in colours.
func mappings(words []word) []object {
	if len(words) == 0 {
		return []object{}
	}
	options := object{}
	for i, w := range words {
		options[fmt.Sprint(w.value)] = object{"index": i, "text": w.text, "color": w.color}
	}
	return []object{{"type": "value", "options": options}}
}

func (p panel) options() object {
	switch p.kind {
	case stat:
		// The name of a series is the answer where the query gives one a legend.
		mode := "value"
		if p.queries[0].legend != "" {
			mode = "name"
		}
		return object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": mode,
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case table:
		return object{"showHeader": true, "cellHeight": "sm", "footer": object{"show": false, "reducer": []string{"sum"}, "fields": "", "countRows": false}}
	case stateTimeline:
		return object{
			"showValue": "auto", "rowHeight": 0.8, "mergeValues": true, "alignValue": "left",
			"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": false}, "tooltip": object{"mode": "single", "sort": "none"},
		}
	}
	return object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
}

// transformations make one table of the answers to several queries: a row for each object, a column for each query.
func (p panel) transformations() []object {
	if p.kind != table {
		return []object{}
	}
	names := object{}
	for i, q := range p.queries {
		name := "Value #" + refID(i)
		if len(p.queries) == 1 {
			name = "Value"
		}
		names[name] = q.column
	}
	for _, label := range p.labels {
		names[label] = strings.ToUpper(label[:1]) + strings.ReplaceAll(label[1:], "_", " ")
	}
	return []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "indexByName": object{}, "renameByName": names}},
	}
}

// overrides give a table's columns their own units and words.
func (p panel) overrides() []object {
	all := []object{}
	for _, q := range p.queries {
		if q.column == "" {
			continue
		}
		properties := []object{{"id": "unit", "value": q.unit}}
		if len(q.words) > 0 {
			properties = append(properties,
				object{"id": "mappings", "value": mappings(q.words)},
				object{"id": "custom.cellOptions", "value": object{"type": "color-text"}})
		}
		all = append(all, object{"matcher": object{"id": "byName", "options": q.column}, "properties": properties})
	}
	if p.link != "" {
		all = append(all, object{
			"matcher":    object{"id": "byName", "options": "Sync"},
			"properties": []object{{"id": "links", "value": []object{{"title": "Open this Sync", "url": p.link, "targetBlank": false}}}},
		})
	}
	return all
}
