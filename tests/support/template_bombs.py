"""Templates that want too much, or that look for Python; what users write is rendered within limits."""

from dora_metrics.pipeline.template_process import TemplateLimits

LIMITS = TemplateLimits(cpu_seconds=1, memory_bytes=400_000_000, total_seconds=30, result_bytes=1_000_000)

_DOUBLINGS = 40

BOMBS = {
    "lipsum": "{{ lipsum(n=10000000) }}",
    "width of %": "{{ '%2000000000d' % 1 }}",
    "width of format": "{{ '{:2000000000}'.format(1) }}",
    "width of the filter format": "{{ '%2000000000d'|format(1) }}",
    "center": "{{ 'x'|center(2000000000) }}",
    "ljust": "{{ 'x'.ljust(2000000000) }}",
    "indent": "{{ 'x\n'|indent(2000000000) }}",
    "doubling by +": "{% set x = 'x' %}" + "{% set x = x + x %}" * _DOUBLINGS + "{{ x }}",
    "doubling by ~": "{% set x = 'x' %}" + "{% set x = x ~ x %}" * _DOUBLINGS + "{{ x }}",
    "doubling in a block": "{% set x = 'x' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * _DOUBLINGS + "{{ x }}",
    "doubling a list": "{% set x = [1] %}" + "{% set x = x + x %}" * _DOUBLINGS + "{{ x|length }}",
    "squaring by replace": "{% set x = 'x' ~ '%099999d' % 0 %}{% set x = x|replace('0', x) %}{{ x|replace('0', x) }}",
    "batch": "{% for row in [1]|batch(2000000000, 'x') %}{{ row|length }}{% endfor %}",
    "nested loops": "{% set r = range(1000) %}" + "{% for a in r %}" * 4 + "{% endfor %}" * 4,
    "loops over a text": "{% set t = '%01000d' % 0 %}" + "{% for a in t %}" * 4 + "{% endfor %}" * 4,
    "recursion": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "recursion of a loop": "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    "power": "{{ 9 ** 999999999 }}",
    "long product": "{{ 'x' * 2000000000 }}",
    "join": "{{ (range(9999)|list)|join('%0999999d' % 0) }}",
    "long output": "{{ '%0999999d' % 0 }}",
    "deep expression": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
}

ESCAPES = [
    "{{ report.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__ }}",
    "{{ (report|attr('__init__')).__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(report) }}",
    "{{ ['{0.__class__}']|map('format', report)|first }}",
    "{{ (['{0.__class__.__mro__}'.format]|first)(report) }}",
    "{% set f = '{0.__class__.__mro__}'|attr('format') %}{{ f(report) }}",
    "{{ self._TemplateReference__context.environment }}",
    "{% for x in [report] %}{{ x.__dict__ }}{% endfor %}",
    "{{ report.lines.append(1) }}",
]
"""A template has `report`, which stands for any of its values."""
