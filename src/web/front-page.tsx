/** The page at `/`: it calls the HTTP API of this service, and nothing else. */
import { render } from 'preact';
import { PageFrame } from './page-frame.tsx';
import { followAddress } from './page-route.ts';

followAddress();
const place = document.getElementById('page');
if (place) render(<PageFrame />, place);
