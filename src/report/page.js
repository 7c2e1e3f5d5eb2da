'use strict';

// Tables: a click on a heading sorts by its column, a second one the other way round. Numbers come largest first,
// texts from A to Z; what has no value stays at the end.
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const compareTexts = new Intl.Collator('en', {numeric: true}).compare;

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (!('value' in cell.dataset)) return cell.textContent;
    return cell.dataset.value === '' ? null : Number(cell.dataset.value);
  };

  heads.forEach((head, column) => {
    const numeric = Boolean(body.rows[0] && 'value' in body.rows[0].cells[column].dataset);
    head.classList.toggle('words', !numeric);
    head.querySelector('button').addEventListener('click', () => {
      const first = numeric ? 'descending' : 'ascending';
      const second = numeric ? 'ascending' : 'descending';
      const order = head.getAttribute('aria-sort') === first ? second : first;
      heads.forEach(other => other.setAttribute('aria-sort', other === head ? order : 'none'));
      const sign = order === 'ascending' ? 1 : -1;
      const rows = [...body.rows].map(row => [valueOf(row, column), row]);
      rows.sort(([a], [b]) => {
        if (a === b) return 0;
        if (a === null || b === null) return a === null ? 1 : -1;
        return sign * (numeric ? (a < b ? -1 : 1) : compareTexts(a, b));
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Pairs: two of a pair's pictures on top of each other. A click on a small picture takes it to the right side.
for (const pair of document.querySelectorAll('.pair')) {
  const slider = pair.querySelector('.slider');
  const stage = slider.querySelector('.stage');
  const [left, right] = stage.querySelectorAll('img');
  const range = stage.querySelector('input');
  const [leftChoice, rightChoice] = slider.querySelectorAll('select');
  const pictures = Object.fromEntries([...pair.querySelectorAll('.strip img')].map(img => [img.dataset.name, img]));

  const show = () => {
    for (const [image, choice] of [[left, leftChoice], [right, rightChoice]]) {
      image.src = pictures[choice.value].src;
      image.alt = pictures[choice.value].alt;
    }
  };
  const move = () => {
    stage.style.setProperty('--at', range.value + '%');
    range.setAttribute('aria-valuetext', Math.round(range.value) + ' % from the left');
  };

  leftChoice.value = 'truth';
  rightChoice.value = 'flow';
  leftChoice.addEventListener('change', show);
  rightChoice.addEventListener('change', show);
  range.addEventListener('input', move);
  for (const [name, img] of Object.entries(pictures)) {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'Show in the comparison, on the right';
    img.replaceWith(button);
    button.append(img);
    button.addEventListener('click', () => {
      rightChoice.value = name;
      show();
    });
  }
  show();
  move();
  slider.hidden = false;
}
